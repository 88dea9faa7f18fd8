"""The training losses by name: what each needs, what its logits carry, where it comes from. No torch here.

`lacal.losses` holds the arithmetic, one function a row. The command line, the README's table and the tests are
driven by `LOSSES`. In formulas of one example: f logits (k,), y label, n training counts (k,), prior = n / sum n,
CE(f, y) = logsumexp f - f_y; cos are cosines of features and weights, and f = s * cos.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lacal.named_options import Option, Value

__all__ = [
    "DEFERRED",
    "LOSSES",
    "Carries",
    "LossRow",
    "Option",
    "Value",
    "carried_by_loss",
    "options_of",
]

# What logits of a model trained so carry already: nothing of the training prior's correction, a part of it
# (margins or weights that lean towards rare classes), or all of it, so that adjusting them again over-corrects.
Carries = Literal["nothing", "part", "prior"]


@dataclass(frozen=True, slots=True)
class LossRow:
    """One row of the table.

    Attributes:
        title: A few words for tables.
        formula: Of one example, in plain text.
        source: Where the formula stands.
        departs: Where the official code, or lacal, departs from the paper; None where nothing is known to.
        head: The classifier's last layer it needs: "cosine" (logits are s * cos), or "any".
        uses_counts: Whether the training counts enter.
        weighted: Whether it has class weights of its own, so that deferred re-weighting makes no sense.
        carries: What its model's logits carry already, with the default options; `carried_by_loss` for others.
        options: By name.
    """

    title: str
    formula: str
    source: str
    departs: str | None = None
    head: Literal["any", "cosine"] = "any"
    uses_counts: bool = True
    weighted: bool = False
    carries: Carries = "nothing"
    options: Mapping[str, Option] = field(default_factory=dict)


# Deferred re-weighting (Cao et al. 2019) goes with every loss that has no class weights of its own.
DEFERRED: dict[str, Option] = {
    "drw": Option(
        0.0,
        "class-balanced weights from this epoch on, the first being 0 (below 1: from this share of the epochs "
        "on); 0: never",
        low=0.0,
    ),
    "drw_beta": Option(
        0.9999, "beta of those weights; 1: weights 1/n, the paper's", low=0.0, high=1.0
    ),
}


def _tau(low: float = -math.inf) -> Option:
    return Option(1.0, "tau, times the log prior", low=low)


def _beta() -> Option:
    return Option(0.9999, "beta of the effective number; 1: weights 1/n", low=0.0, high=1.0)


def _normalise(default: str = "weights") -> Option:
    return Option(
        default,
        "what a batch's weighted sum is divided by: its sum of weights, or its rows",
        words=("weights", "rows"),
    )


_CB_WEIGHTS = "(1 - beta) / (1 - beta^n_y), scaled to sum to k"
_LDAM_MARGIN = "max_margin (n_min / n_y)^(1/4)"
_MAX_MARGIN = Option(0.5, "margin of the rarest class, of cosines", low=0.0)
_SCALED = "its models give cosines and the scale is the loss's; lacal's head gives s * cos"
_ALA = "Zhao et al., AAAI 2022"
_ALA_DEPARTS = (
    "no official code was found; the base of the logarithm is not printed, natural is taken"
)

LOSSES: dict[str, LossRow] = {
    "softmax": LossRow(
        "softmax cross-entropy",
        "CE(f, y)",
        "Menon et al., ICLR 2021, eq. 11 with alpha 1 and Delta 0",
        uses_counts=False,
    ),
    "balanced": LossRow(
        "softmax weighted by 1/prior",
        "CE(f, y) / prior_y",
        "Menon et al., ICLR 2021, eq. 11 with alpha 1/prior_y",
        "weighted means have two normalisations: by the batch's sum of weights (PyTorch; default here) and by its rows "
        "(the rate is then in effect k times as large)",
        weighted=True,
        carries="prior",
        options={"normalise": _normalise()},
    ),
    "class-balanced": LossRow(
        "softmax weighted by effective numbers",
        f"w_y CE(f, y), w_y = {_CB_WEIGHTS}",
        "Cui et al., CVPR 2019",
        "its code divides by the batch's rows, ports to PyTorch by its sum of weights (default here); the code's own "
        "default beta is 0, all weights 1",
        weighted=True,
        carries="part",
        options={"beta": _beta(), "normalise": _normalise()},
    ),
    "adaptive": LossRow(
        "adaptive margin",
        "CE with f_y less prior_y^(-1/4)",
        "Menon et al., ICLR 2021, its reading of LDAM",
        "LDAM's own margins are of cosines and bounded: see ldam",
        carries="part",
    ),
    "ldam": LossRow(
        "label-distribution-aware margin",
        f"CE with f_y less s m_y, f = s cos, m_y = {_LDAM_MARGIN}",
        "Cao et al., NeurIPS 2019; code kaidic/LDAM-DRW",
        f"the paper shows no scale s, the code's is 30; {_SCALED}; max_margin 0.3 for iNaturalist",
        head="cosine",
        carries="part",
        options={"max_margin": _MAX_MARGIN},
    ),
    "equalised": LossRow(
        "equalised, pairwise form",
        "CE with f_j plus tau log prior_j for every j but y",
        "Menon et al., ICLR 2021, eq. 11 with Delta_yj = log prior_j^tau, its reading of Tan et al., CVPR 2020",
        "Menon's runs on real data take a threshold rule whose values are not given; Tan's detection loss is sigmoid",
        carries="prior",
        options={"tau": _tau(low=0.0)},
    ),
    "softmax-equalised": LossRow(
        "softmax equalisation",
        "CE over y and the classes not dropped; a class of prior below lambda is dropped with probability gamma",
        "Tan et al., CVPR 2020; defaults of BagofTricks-LT",
        "that code computes it without subtracting the maximum, and overflows; the paper's own gamma and lambda for "
        "classification were not found",
        carries="part",
        options={
            "gamma": Option(
                0.9, "gamma, chance that a rare rival is left out, per entry", low=0.0, high=1.0
            ),
            "lambda": Option(0.005, "lambda, priors below this are rare", low=0.0, high=1.0),
        },
    ),
    "logit-adjusted": LossRow(
        "logit-adjusted softmax",
        "CE(f + tau log prior, y)",
        "Menon et al., ICLR 2021, logit-adjusted softmax; code google-research/logit_adjustment",
        "the code adds log(prior^tau + 1e-12), which stops being linear in tau; with tau other than 1 it is not "
        "consistent for balanced error: see logit-adjusted-consistent",
        carries="prior",
        options={"tau": _tau()},
    ),
    "logit-adjusted-consistent": LossRow(
        "logit-adjusted, consistent for any tau",
        "prior_y^(tau - 1) CE(f + tau log prior, y)",
        "Menon et al., ICLR 2021, theorem 1 with delta = prior^tau",
        weighted=True,
        carries="prior",
        options={"tau": _tau(), "normalise": _normalise()},
    ),
    "balanced-softmax": LossRow(
        "balanced softmax",
        "CE(f + log n, y)",
        "Ren et al., NeurIPS 2020",
        "equal to logit-adjusted with tau 1",
        carries="prior",
    ),
    "logit-adjusted-adaptive": LossRow(
        "logit-adjusted with adaptive margin",
        "CE(f + log prior, y) with f_y less prior_y^(-1/4)",
        "Menon et al., ICLR 2021, eq. 11 with Delta_yj = log(prior_j / prior_y) + prior_y^(-1/4)",
        "no official code of it; ImageNet-LT gets worse with it than without, iNaturalist better",
        carries="prior",
    ),
    "vector-scaling": LossRow(
        "vector scaling",
        "CE((n / n_max)^gamma f + tau log prior, y)",
        "Kini et al., NeurIPS 2021; defaults of code orparask/VS-Loss",
        "the code stores (n_max / n)^gamma and divides; its weights omega_y are drw here",
        carries="prior",
        options={"gamma": Option(0.3, "gamma, exponent of n / n_max"), "tau": _tau()},
    ),
    "ala": LossRow(
        "adaptive logit adjustment",
        "CE with f_y less s DF QF_y, f = s cos, DF = (1 - cos_y) / 2 without gradient, QF_y = 1 / log(n_y / n_min + 1)",
        f"{_ALA}",
        _ALA_DEPARTS,
        head="cosine",
        carries="part",
    ),
    "ala-difficulty": LossRow(
        "ALA, difficulty factor alone",
        "CE with f_y less s DF",
        f"{_ALA}, ablation",
        "no official code was found; no count enters",
        head="cosine",
        uses_counts=False,
    ),
    "ala-quantity": LossRow(
        "ALA, quantity factor alone",
        "CE with f_y less s QF_y",
        f"{_ALA}, ablation",
        _ALA_DEPARTS,
        head="cosine",
        carries="part",
    ),
    "ala-difficulty-ldam": LossRow(
        "ALA, difficulty times LDAM's margin",
        f"CE with f_y less s DF m_y, m_y = {_LDAM_MARGIN}",
        f"{_ALA}, ablation",
        "no official code was found; the constant 0.5 of the margin is LDAM's, the paper prints none",
        head="cosine",
        carries="part",
        options={"max_margin": _MAX_MARGIN},
    ),
    "lade": LossRow(
        "LADE",
        "CE(f + log prior, y) + alpha R; R sums prior_c (A_c + lambda A_c^2 - mean of f_c over c's rows) over the batch's "
        "classes, A_c = log of the mean over rows of exp(f_c) / (k prior_label)",
        "Hong et al., CVPR 2021",
        "form code follows hyperconnect/LADE, but for its epsilons: in A_c the ratio of priors is that of the column's "
        "class, and R sums over all classes; form paper is the default. (alpha, lambda): (0.1, 0.01) CIFAR-100-LT of ratio 100, (0.05, 0.5) "
        "ImageNet-LT",
        carries="prior",
        options={
            "alpha": Option(0.1, "alpha, of the regulariser R", low=0.0),
            "lambda": Option(0.01, "lambda, of its squares; 0 is known to do harm", low=0.0),
            "form": Option(
                "paper", "which regulariser, the paper's or its code's", words=("paper", "code")
            ),
        },
    ),
    "focal": LossRow(
        "softmax focal",
        "(1 - p_y)^gamma CE(f, y), p = softmax f",
        "Lin et al., ICCV 2017, in softmax form",
        "the original is sigmoid with gamma 2; LDAM-DRW's has gamma 1 and, when weighted, takes p_y to the power of the "
        "weight; the code of LADE and of Tang et al. has no gradient through (1 - p_y)^gamma: detached=yes",
        uses_counts=False,
        options={
            "gamma": Option(2.0, "gamma", low=0.0),
            "detached": Option(False, "whether (1 - p_y)^gamma lets no gradient through"),
        },
    ),
    "class-balanced-focal": LossRow(
        "class-balanced focal, sigmoid",
        f"w_y sum over j of (1 - q_j)^gamma (-log q_j), q_y = sigmoid f_y, else q_j = sigmoid -f_j; w_y = {_CB_WEIGHTS}",
        "Cui et al., CVPR 2019; code richardaecn/class-balanced-loss",
        "the code's variant: sigmoid over all classes, all terms weighted by the true class, divided by rows; the code "
        "starts the head's bias at -log(k - 1) and does not decay it, lacal's head does neither; its logits are log odds "
        "of each class, so post-hoc logit adjustment is no exact rule for them",
        weighted=True,
        carries="part",
        options={
            "beta": _beta(),
            "gamma": Option(1.0, "gamma", low=0.0),
            "normalise": _normalise("rows"),
        },
    ),
}


def options_of(name: str) -> dict[str, Option]:
    """All options of a loss, deferred re-weighting among them where it makes sense."""
    row = LOSSES[name]
    return {**row.options, **({} if row.weighted else DEFERRED)}


def carried_by_loss(name: str, options: Mapping[str, Value]) -> Carries:
    """What the logits carry with these options: less than the row says where tau is below 1, a part with drw.

    With tau between 0 and 1 the rest of the correction, 1 - tau, may still be made afterwards.
    """
    row = LOSSES[name]
    carries = row.carries
    tau = options.get("tau", 1.0)
    if not row.weighted and isinstance(tau, int | float) and tau < 1:
        # Vector scaling has a gamma beside tau
        nothing = tau == 0 and not options.get("gamma", 0.0)
        carries = "nothing" if nothing else "part"
    if carries == "nothing" and options.get("drw", 0.0):
        return "part"
    return carries

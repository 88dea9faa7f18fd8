"""The rows of long_tail_table.py: which network each is read off, and how its balanced error is measured."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lacal.batch import Batch, PerClass
from lacal.classes.prior import LabelPrior
from lacal.methods import METHODS, ClassStatistics
from lacal.metrics import ClassTally
from lacal.pipeline.tune_tau import Search, tune_tau
from lacal.ranks import rank_correlation
from lacal.tau.grid import parse_grid
from lacal.tau.path import TauPathAccumulator
from lacal.training.data import Examples, TrainingData

DRAWS = 100  # of the bootstrap of tau, which is not reported here
BATCH = 512


@dataclass(frozen=True, slots=True)
class Trained:
    """How a network is trained, beyond what its set says.

    Attributes:
        loss: Row of lacal's loss table.
        options: Of the loss, as `--loss-option` takes them.
        head: "linear" or "cosine".
        adamw: In place of SGD.
    """

    loss: str = "softmax"
    options: tuple[str, ...] = ()
    head: str = "linear"
    adamw: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of the table.

    Attributes:
        title: For the table and the figure.
        model: Key of `MODELS`.
        stage: Second stage on its features, or None.
        method: Post-hoc method on its logits, or None.
        tau: Of that method; None where it is tuned on the validation split.
        published: Its name in the published table.
    """

    title: str
    model: str
    stage: str | None = None
    method: str | None = None
    tau: float | None = 1.0
    published: str | None = None


MODELS: dict[str, Trained] = {
    "erm": Trained(),
    "erm-adamw": Trained(adamw=True),
    "erm-cosine": Trained(head="cosine"),
    "class-balanced": Trained("class-balanced"),
    "ldam": Trained("ldam", head="cosine"),
    "ldam-drw": Trained("ldam", ("drw=0.8",), head="cosine"),
    "equalised": Trained("equalised"),
    "logit-adjusted": Trained("logit-adjusted"),
    "logit-adjusted-adaptive": Trained("logit-adjusted-adaptive"),
    "vector-scaling": Trained("vector-scaling"),
    "ala": Trained("ala", head="cosine"),
}

POSTHOC = "logit-adjustment"
ROWS = (
    TableRow("ERM", "erm", published="ERM"),
    TableRow("ERM, cosine head", "erm-cosine"),
    TableRow("ERM, AdamW", "erm-adamw"),
    TableRow(
        "weight normalisation, tau 1",
        "erm",
        method="weight-norm",
        published="Weight normalisation (tau=1)",
    ),
    TableRow(
        "weight normalisation, tau*",
        "erm",
        method="weight-norm",
        tau=None,
        published="Weight normalisation (tau=tau*)",
    ),
    TableRow("class-balanced", "class-balanced", published="Class-balanced"),
    TableRow("adaptive (LDAM)", "ldam", published="Adaptive"),
    TableRow("adaptive (LDAM) + DRW", "ldam-drw", published="Adaptive + DRW"),
    TableRow("equalised", "equalised", published="Equalised"),
    TableRow(
        "post-hoc LA, tau 1",
        "erm",
        method=POSTHOC,
        published="Logit adjustment post-hoc (tau=1)",
    ),
    TableRow(
        "post-hoc LA, tau*",
        "erm",
        method=POSTHOC,
        tau=None,
        published="Logit adjustment post-hoc (tau=tau*)",
    ),
    TableRow("logit-adjusted loss", "logit-adjusted", published="Logit adjustment loss (tau=1)"),
    TableRow(
        "LA + adaptive loss",
        "logit-adjusted-adaptive",
        published="Logit adjustment plus adaptive loss (tau=1)",
    ),
    TableRow("vector-scaling loss", "vector-scaling"),
    TableRow("ALA loss", "ala"),
    TableRow("cRT", "erm", stage="crt"),
    TableRow("LWS", "erm", stage="lws"),
    TableRow("DisAlign", "erm", stage="disalign"),
)


@dataclass(frozen=True, slots=True)
class Scored:
    """A network's logits on a split, as a source for lacal's pipeline.

    Attributes:
        place: For messages.
        logits: (n, k).
        labels: (n,).
    """

    place: str
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]

    class_names: tuple[str, ...] | None = None
    labelled: bool = True
    stored: str = "float32"
    inference: dict[str, Any] | None = None

    @property
    def classes(self) -> int:
        """Number of classes, k."""
        return self.logits.shape[1]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.labels)

    def batches(self) -> Iterator[Batch]:
        """All rows at once."""
        yield Batch(self.logits, self.labels, None, 0)


def scored(network: Any, examples: Examples, place: str, device: str) -> Scored:
    """A network's logits on a split."""
    network.to(device).eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(examples.labels), BATCH):
            rows = torch.from_numpy(examples.inputs[start : start + BATCH]).to(device)
            parts.append(network(rows.float()).float().cpu().numpy())
    return Scored(place, np.concatenate(parts), examples.labels)


def measured(
    row: TableRow, network: Any, data: TrainingData, val: Scored, test: Scored
) -> dict[str, Any]:
    """A row's errors in percent, on the test split; tau is tuned on the validation split alone."""
    prior = LabelPrior(data.class_counts, data.class_names)
    statistics = ClassStatistics(prior.log_prior, *norms_and_bias(network.head))
    tau: float | None = None
    predictions = test.logits.argmax(axis=1)
    told: dict[str, Any] = {}
    if row.method is not None:
        method = METHODS[row.method]
        tau = row.tau
        if tau is None:
            search = Search(row.method, parse_grid(None, method), draws=DRAWS)
            tau = tune_tau(val, prior, statistics, search).tau
            path = TauPathAccumulator(method, statistics, search.grid)
            path.update(next(test.batches()))
            low, high = float(search.grid[0]), float(search.grid[-1])
            told["best_on_test"] = 100 * path.result().optimum(low, high, 1.0).balanced_error
        predictions = method.adjustment(statistics, tau).predict(test.logits)
    tally = ClassTally.empty(prior.class_counts.size)
    tally.update(test.labels, predictions)
    groups = {name: percent(rate.value) for name, rate in tally.by_group(prior.groups()).items()}
    whole = tally.balanced()
    if statistics.weight_norms is not None and row.method is None and row.stage is None:
        told["norm_rank"] = rank_correlation(statistics.weight_norms, data.class_counts)
    return {
        "row": row.title,
        **groups,
        "all": percent(whole.value),
        "within": percent(whole.standard_error),
        "micro": percent(tally.micro().value),
        "tau": tau,
        **told,
    }


def norms_and_bias(head: Any) -> tuple[PerClass | None, PerClass | None]:
    """Of a head that is a plain weight and bias; None where it is not."""
    weight, bias = getattr(head, "weight", None), getattr(head, "bias", None)
    if weight is None or weight.ndim != 2:
        return None, None
    norms = weight.detach().double().norm(dim=1).cpu().numpy()
    return norms, None if bias is None else bias.detach().double().cpu().numpy()


def percent(value: float | None) -> float | None:
    """Of a rate, None where there are no rows."""
    return None if value is None else 100 * value


def by_model(rows: list[TableRow]) -> Mapping[str, list[TableRow]]:
    """Rows by the network that they are read off, in the table's order."""
    groups: dict[str, list[TableRow]] = {}
    for row in rows:
        groups.setdefault(row.model, []).append(row)
    return groups

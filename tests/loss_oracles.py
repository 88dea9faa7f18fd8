"""Every loss transcribed from its formula in NumPy float64, an example at a time, and problems to try them on.

Written from the papers' formulas, not from `lacal.losses`: sums are written out and nothing is made stable.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from lacal.loss_table import LOSSES, Value, options_of

Vector = NDArray[np.float64]
SCALE = 30.0


@dataclass(frozen=True)
class Problem:
    """A batch, and the counts of a training set."""

    logits: Vector  # (n, k)
    labels: NDArray[np.int64]
    class_counts: Vector

    @property
    def cosines(self) -> Vector:
        """What a cosine head might give, (n, k) in -1..1."""
        return np.asarray(np.tanh(self.logits / 3))

    def for_row(self, name: str) -> "Problem":
        """The same with logits that suit the row's head."""
        if LOSSES[name].head == "any":
            return self
        return Problem(SCALE * self.cosines, self.labels, self.class_counts)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """1 to 6 rows of 2 to 5 classes, whose counts lie far apart and need not be whole."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, classes = draw(st.integers(1, 6)), draw(st.integers(2, 5))
    counts = np.exp(generator.uniform(0, np.log(5000), classes))
    return Problem(
        generator.normal(0, 3, (rows, classes)),
        generator.integers(0, classes, rows),
        counts if draw(st.booleans()) else np.ceil(counts),
    )


def defaults(name: str, **said: Value) -> dict[str, Any]:
    return {option: one.default for option, one in options_of(name).items()} | said


# Options that are not the defaults, so that each of them is seen to act.
OTHER: dict[str, dict[str, Value]] = {
    "class-balanced": {"beta": 0.99, "normalise": "rows"},
    "ldam": {"max_margin": 0.3, "drw": 0.5},
    "equalised": {"tau": 0.5},
    "softmax-equalised": {"gamma": 0.5, "lambda": 0.3},
    "logit-adjusted": {"tau": 1.5},
    "logit-adjusted-consistent": {"tau": 0.5, "normalise": "rows"},
    "vector-scaling": {"gamma": 0.2, "tau": 1.2},
    "ala-difficulty-ldam": {"max_margin": 0.3},
    "lade": {"alpha": 0.05, "lambda": 0.5, "form": "code"},
    "focal": {"gamma": 0.5, "detached": True},
    "class-balanced-focal": {"beta": 0.9, "gamma": 0.5, "normalise": "weights"},
    "balanced": {"normalise": "rows"},
}


def prior(n: Vector) -> Vector:
    return np.asarray(n / n.sum())


def softmax(f: Vector) -> Vector:
    return np.asarray(np.exp(f) / np.exp(f).sum())


def ce(f: Vector, y: int) -> float:
    return float(-np.log(softmax(f)[y]))


def pairwise(f: Vector, y: int, alpha: Vector, delta: Vector) -> float:
    """Menon et al. 2021, eq. 11: softplus of the logsumexp over the rivals."""
    rivals = [np.exp(delta[y, j] + f[j] - f[y]) for j in range(f.size) if j != y]
    return float(alpha[y] * np.log(1 + sum(rivals)))


def onehot(y: int, k: int) -> Vector:
    return np.asarray(np.eye(k)[y])


def cb_weights(n: Vector, beta: float) -> Vector:
    effective = (1 - beta**n) / (1 - beta)
    weights = 1 / effective
    return np.asarray(weights / weights.sum() * n.size)


def ldam_margins(n: Vector, largest: float) -> Vector:
    return np.asarray(largest * (n.min() / n) ** 0.25)


def quantity(n: Vector) -> Vector:
    return np.asarray(1 / np.log(n / n.min() + 1))


def _cosine(margin: Callable[[Vector, float, int, dict[str, Any]], float]) -> Any:
    """CE(s (cos - onehot A), y); A is worked out of the frozen cosine, which lets no gradient through."""

    def loss(f: Vector, y: int, n: Vector, o: dict[str, Any], frozen: Vector) -> float:
        cos, difficulty = f / SCALE, (1 - frozen[y] / SCALE) / 2
        return ce(SCALE * (cos - onehot(y, n.size) * margin(n, difficulty, y, o)), y)

    return loss


def _focal(f: Vector, y: int, n: Vector, o: dict[str, Any], frozen: Vector) -> float:
    p = softmax(frozen if o["detached"] else f)[y]
    return float((1 - p) ** o["gamma"] * ce(f, y))


def _sigmoid_focal(f: Vector, y: int, n: Vector, o: dict[str, Any], _: Vector) -> float:
    total = 0.0
    for j in range(n.size):
        p = 1 / (1 + np.exp(-f[j]))
        q = p if j == y else 1 - p
        total += (1 - q) ** o["gamma"] * -np.log(q)
    return float(cb_weights(n, o["beta"])[y] * total)


# One example's loss, class weights included: (f, y, n, options, f without gradient) -> number.
ORACLES: dict[str, Callable[[Vector, int, Vector, dict[str, Any], Vector], float]] = {
    "softmax": lambda f, y, n, o, _: ce(f, y),
    "balanced": lambda f, y, n, o, _: ce(f, y) / prior(n)[y],
    "class-balanced": lambda f, y, n, o, _: cb_weights(n, o["beta"])[y] * ce(f, y),
    "adaptive": lambda f, y, n, o, _: pairwise(
        f, y, np.ones(n.size), np.tile(prior(n)[:, None] ** -0.25, n.size)
    ),
    "ldam": _cosine(lambda n, df, y, o: ldam_margins(n, o["max_margin"])[y]),
    "equalised": lambda f, y, n, o, _: pairwise(
        f, y, np.ones(n.size), np.tile(np.log(prior(n) ** o["tau"]), (n.size, 1))
    ),
    "logit-adjusted": lambda f, y, n, o, _: ce(f + o["tau"] * np.log(prior(n)), y),
    "logit-adjusted-consistent": lambda f, y, n, o, _: (
        prior(n)[y] ** (o["tau"] - 1) * ce(f + o["tau"] * np.log(prior(n)), y)
    ),
    "balanced-softmax": lambda f, y, n, o, _: ce(f + np.log(n), y),
    "logit-adjusted-adaptive": lambda f, y, n, o, _: pairwise(
        f,
        y,
        np.ones(n.size),
        np.log(prior(n)[None, :] / prior(n)[:, None]) + prior(n)[:, None] ** -0.25,
    ),
    "vector-scaling": lambda f, y, n, o, _: ce(
        (n / n.max()) ** o["gamma"] * f + o["tau"] * np.log(prior(n)), y
    ),
    "ala": _cosine(lambda n, df, y, o: df * quantity(n)[y]),
    "ala-difficulty": _cosine(lambda n, df, y, o: df),
    "ala-quantity": _cosine(lambda n, df, y, o: quantity(n)[y]),
    "ala-difficulty-ldam": _cosine(lambda n, df, y, o: df * ldam_margins(n, o["max_margin"])[y]),
    "focal": _focal,
    "class-balanced-focal": _sigmoid_focal,
}


def softmax_equalised(f: Vector, y: int, dropped: NDArray[np.bool_]) -> float:
    """Tan et al. 2020: w_k = 1 - beta_k 1[prior_k < lambda] (1 - 1[k = y])."""
    w = np.array([1 - dropped[k] * (k != y) for k in range(f.size)])
    return float(-np.log(np.exp(f[y]) / (w * np.exp(f)).sum()))


def lade(F: Vector, labels: NDArray[np.int64], n: Vector, o: dict[str, Any]) -> float:  # noqa: N803
    """Hong et al. 2021: the mean of LADE-CE, plus alpha times LADER by the paper, or as its code has it."""
    rows, k = F.shape
    ps, pu = prior(n), 1 / k
    total = 0.0
    for c in range(k):
        own = [F[i, c] for i in range(rows) if labels[i] == c]
        if not own and o["form"] == "paper":
            continue
        ratios = [pu / ps[c] if o["form"] == "code" else pu / ps[y] for y in labels]
        a = np.log(sum(r * np.exp(F[i, c]) for i, r in enumerate(ratios)) / rows)
        first = -sum(own) / len(own) if own else 0.0
        total += ps[c] * (first + a + o["lambda"] * a**2)
    plain = sum(ce(F[i] + np.log(ps), int(labels[i])) for i in range(rows)) / rows
    return float(plain + o["alpha"] * total)


def oracle_losses(name: str, problem: Problem, options: dict[str, Any]) -> Vector:
    """(n,) of a row that looks at one example at a time and draws nothing."""
    rows = zip(problem.logits, problem.labels, strict=True)
    return np.array([ORACLES[name](f, int(y), problem.class_counts, options, f) for f, y in rows])


def oracle_gradient(name: str, problem: Problem, options: dict[str, Any]) -> Vector:
    """(n, k) by central differences of the sum of the losses; what is detached stays where it is."""
    step = 1e-5
    gradient = np.zeros_like(problem.logits)
    for i, f in enumerate(problem.logits):
        y = int(problem.labels[i])
        for j in range(f.size):
            ends = [
                ORACLES[name](
                    f + sign * step * onehot(j, f.size), y, problem.class_counts, options, f
                )
                for sign in (1, -1)
            ]
            gradient[i, j] = (ends[0] - ends[1]) / (2 * step)
    return gradient


# Of eq. 11: alpha (k,) and Delta (k, k) of the members that have them for all examples alike.
MEMBERS: dict[str, Callable[[Vector, dict[str, Any]], tuple[Vector, Vector]]] = {
    "softmax": lambda n, o: (np.ones(n.size), np.zeros((n.size, n.size))),
    "balanced": lambda n, o: (1 / prior(n), np.zeros((n.size, n.size))),
    "class-balanced": lambda n, o: (cb_weights(n, o["beta"]), np.zeros((n.size, n.size))),
    "adaptive": lambda n, o: (
        np.ones(n.size),
        np.repeat(prior(n)[:, None] ** -0.25, n.size, axis=1),
    ),
    "ldam": lambda n, o: (
        np.ones(n.size),
        np.repeat(SCALE * o["max_margin"] * (n.min() / n[:, None]) ** 0.25, n.size, axis=1),
    ),
    "equalised": lambda n, o: (
        np.ones(n.size),
        np.repeat(o["tau"] * np.log(prior(n))[None, :], n.size, axis=0),
    ),
    "logit-adjusted": lambda n, o: (
        np.ones(n.size),
        o["tau"] * np.log(prior(n)[None, :] / prior(n)[:, None]),
    ),
    "logit-adjusted-consistent": lambda n, o: (
        prior(n) ** (o["tau"] - 1),
        o["tau"] * np.log(prior(n)[None, :] / prior(n)[:, None]),
    ),
    "balanced-softmax": lambda n, o: (np.ones(n.size), np.log(n[None, :] / n[:, None])),
    "logit-adjusted-adaptive": lambda n, o: (
        np.ones(n.size),
        np.log(prior(n)[None, :] / prior(n)[:, None]) + prior(n)[:, None] ** -0.25,
    ),
    "ala-quantity": lambda n, o: (
        np.ones(n.size),
        np.repeat(SCALE * quantity(n)[:, None], n.size, axis=1),
    ),
}

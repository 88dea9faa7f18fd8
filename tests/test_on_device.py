"""What torch sees of the rows is what NumPy sees of them, and tuning gives the same either way."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, Batch, DeviceBatch, Labels, Logits
from lacal.calibration_file import encoded
from lacal.classes.prior import LabelPrior, ZeroCount
from lacal.errors import DataError, LacalError, RunError
from lacal.methods import METHODS, ClassStatistics, Family
from lacal.pipeline.tune_tau import Search, Tuning, tune_tau
from lacal.rows.fingerprint import row_hashes
from lacal.rows.scores import ScoreDoor
from lacal.rows.source import device_source
from lacal.tau.intervals import intervals
from tests.small_world import COUNTS, world
from tests.tau_problems import KINDS, SHAPES, TAUS, Problem, apart_from, problem_of, problems

torch = pytest.importorskip("torch")

from lacal.tau.on_device import IN_FLIGHT, Lookout, RowsSeen, rows_of, rows_seen

LINEAR = ("logit-adjustment", "drop")


def family_of(problem: Problem) -> Family:
    family = problem.method.family(problem.statistics)
    assert family is not None
    return family


def check_seen(seen: RowsSeen, logits: Logits, labels: Labels, family: Family) -> None:
    """Everything that `rows_seen` gives, against NumPy's; the linear family's ends to the last bit."""
    known = labels != NO_LABEL
    np.testing.assert_array_equal(seen.hashes, row_hashes(logits))
    np.testing.assert_array_equal(seen.labels, labels[known])
    np.testing.assert_array_equal(seen.plain_right, logits.argmax(axis=1)[known] == labels[known])
    low, high = intervals(logits[known], labels[known], family)
    right = low <= high
    if family.shift is None:
        np.testing.assert_array_equal(seen.low <= seen.high, right)
        np.testing.assert_array_equal(seen.low[right].view("i8"), low[right].view("i8"))
        np.testing.assert_array_equal(seen.high[right].view("i8"), high[right].view("i8"))
        return
    near = rounding_of_logs(logits, family)
    both = right & (seen.low <= seen.high)
    np.testing.assert_allclose(seen.low[both], low[both], rtol=1e-12, atol=near)
    np.testing.assert_allclose(seen.high[both], high[both], rtol=1e-12, atol=near)
    for one_low, one_high in (
        (low, high),
        (seen.low, seen.high),
    ):  # a last bit may close an interval
        only = (one_low <= one_high) & ~both
        assert (one_high[only] - one_low[only] <= near).all()


def rounding_of_logs(logits: Logits, family: Family) -> float:
    """How far an end moves when the logs it is made of move by a last bit."""
    assert family.shift is not None
    values = np.abs(np.subtract(logits, family.shift, dtype=np.float64))
    largest = np.abs(np.log(values[values > 0])).max(initial=1.0)
    distinct = np.unique(family.slopes[np.isfinite(family.slopes)])
    return float(4 * np.finfo(np.float64).eps * largest / np.diff(distinct).min(initial=1.0))


@given(problems(), st.sampled_from([0.0, 0.3, 1.0]))
def test_rows_seen_are_those_of_numpy(problem: Problem, unlabelled: float) -> None:
    labels = problem.labels.copy()
    labels[np.random.default_rng(0).random(labels.size) < unlabelled] = NO_LABEL
    family = family_of(problem)
    seen = rows_seen(torch.from_numpy(problem.logits), labels, family)
    check_seen(seen, problem.logits, labels, family)


@given(problems())
def test_intervals_equal_argmax(problem: Problem) -> None:
    seen = rows_seen(torch.from_numpy(problem.logits), problem.labels, family_of(problem))
    for tau in apart_from(TAUS, np.concatenate([seen.low, seen.high])):
        right = (seen.low <= tau) & (tau <= seen.high)
        np.testing.assert_array_equal(right, problem.right_at(float(tau)), f"at tau {tau}")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_counts_as_its_float32(precision: str, shape: str) -> None:
    for kind in KINDS:
        problem = problem_of(3, 200, 9, shape=shape, kind=kind)
        half = torch.from_numpy(problem.logits).to(getattr(torch, precision))
        seen = rows_seen(half, problem.labels, family_of(problem))
        check_seen(seen, half.float().numpy(), problem.labels, family_of(problem))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tile", [50, 3000])
def test_rows_over_many_tiles(
    kind: tuple[str, str], tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lacal.tau.on_device.TILE", tile)
    for shape in ("any", "coarse"):
        for masked in (0, 2):
            problem = problem_of(5, 150, 60, kind=kind, shape=shape, masked=masked)
            labels = np.where(np.arange(150) % 7 == 3, NO_LABEL, problem.labels)
            seen = rows_seen(torch.from_numpy(problem.logits), labels, family_of(problem))
            check_seen(seen, problem.logits, labels, family_of(problem))


@pytest.mark.parametrize("equal", [False, True])
def test_a_thousand_classes(equal: bool) -> None:
    for shape in ("any", "coarse", "far"):
        problem = problem_of(1, 200, 1000, shape=shape, equal=equal)
        seen = rows_seen(torch.from_numpy(problem.logits), problem.labels, family_of(problem))
        check_seen(seen, problem.logits, problem.labels, family_of(problem))


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_hardly_any_rows(kind: tuple[str, str], rows: int) -> None:
    problem = problem_of(0, rows, 5, kind=kind, masked=1)
    logits = torch.from_numpy(problem.logits)
    seen = rows_seen(logits, problem.labels, family_of(problem))
    check_seen(seen, problem.logits, problem.labels, family_of(problem))
    without = rows_seen(logits, None, family_of(problem))
    assert (without.hashes.size, without.labels.size, without.low.size) == (rows, 0, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [2, 31, 33, 1000])
def test_hashes_are_the_same_bits(dtype: type[np.floating[Any]], classes: int) -> None:
    generator = np.random.default_rng(classes)
    logits = (generator.normal(size=(64, classes)) * 10.0 ** generator.integers(-30, 30)).astype(
        dtype
    )
    logits[:9, 0] = [0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38, 1.0, -1.0, 65504.0]
    family = Family(np.linspace(-1, 0, classes))
    for given_logits in (torch.from_numpy(logits), torch.from_numpy(logits.T.copy()).T):
        seen = rows_seen(given_logits, None, family)
        np.testing.assert_array_equal(seen.hashes, row_hashes(logits))


def test_hashes_of_numbers_beyond_float32() -> None:
    logits = np.random.default_rng(0).normal(size=(64, 40)) * np.geomspace(1e30, 1e307, 40)
    seen = rows_seen(torch.from_numpy(logits), None, Family(np.linspace(-1, 0, 40)))
    np.testing.assert_array_equal(seen.hashes, row_hashes(logits))


@dataclass
class FakeDeviceSource:
    """Logits that are served as if a model had left them on a device."""

    logits: NDArray[Any]
    labels: Labels | None
    scores: str | None = None
    shift_blind: bool = True
    on_device: bool = True
    rows_per_batch: int = 16
    one_buffer: bool = False
    precision: Any = torch.float32
    place: str = "model on rows"
    stored: str = "float32"
    class_names: tuple[str, ...] | None = None
    inference: dict[str, Any] | None = None
    drawn: list[int] = field(default_factory=list)

    @property
    def classes(self) -> int:
        return int(self.logits.shape[1])

    @property
    def rows(self) -> int | None:
        return int(self.logits.shape[0])

    @property
    def labelled(self) -> bool:
        return self.labels is not None

    @property
    def door(self) -> ScoreDoor:
        return ScoreDoor(self.place, self.scores, self.stored, self.shift_blind)

    def checked(self, scores: NDArray[Any], start: int) -> Logits:
        return self.door.check(scores, start)

    def device_batches(self) -> Iterator[DeviceBatch]:
        assert self.on_device
        buffer = None
        for at in range(0, len(self.logits), self.rows_per_batch):
            part = slice(at, at + self.rows_per_batch)
            tensor = torch.from_numpy(self.logits[part]).to(self.precision)
            if self.one_buffer:
                buffer = tensor.clone() if buffer is None else buffer
                tensor = buffer[: tensor.shape[0]].copy_(tensor)
            self.drawn.append(at)
            yield DeviceBatch(tensor, None if self.labels is None else self.labels[part], at)

    def batches(self) -> Iterator[Batch]:
        for at in range(0, len(self.logits), self.rows_per_batch):
            part = slice(at, at + self.rows_per_batch)
            stored = torch.from_numpy(self.logits[part]).to(self.precision)
            scores = (stored.float() if stored.element_size() < 4 else stored).numpy()
            labels = None if self.labels is None else self.labels[part]
            yield Batch(self.checked(scores, at), labels, None, at)


def tuned(source: FakeDeviceSource, kind: tuple[str, str], masked: bool = False) -> Tuning:
    name, bias_rule = kind
    counts = np.array(COUNTS)
    counts[1] = 0 if masked else counts[1]
    prior = LabelPrior(counts, zero_count=ZeroCount("mask"))
    norms, bias = np.linspace(0.8, 2.0, len(COUNTS)), np.linspace(-1, 1, len(COUNTS))
    statistics = ClassStatistics(prior.log_prior, norms, bias, bias_rule)
    search = Search(name, np.linspace(0, 3, 31), draws=20)
    return tune_tau(source, prior, statistics, search)


def served(rows: int = 150, **others: Any) -> FakeDeviceSource:
    split = world(rows)
    labels = np.where(np.arange(rows) % 11 == 4, NO_LABEL, split.labels)
    return FakeDeviceSource(split.logits, labels, **others)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", [*KINDS, ("weight-norm", "keep")])
def test_tuning_on_the_device_is_tuning(kind: tuple[str, str], masked: bool) -> None:
    for others in ({}, {"precision": torch.bfloat16}):
        source = served(**others)
        on_host = tuned(replace(source, on_device=False), kind, masked)
        # Where no method has an exact path the rows come to the host as ever.
        ours = tuned(source, kind, masked)
        assert bool(source.drawn) == (kind[1] != "keep")
        if kind == LINEAR:
            assert encoded(ours.calibration) == encoded(on_host.calibration)
        assert ours.calibration.tuned_on is not None
        assert on_host.calibration.tuned_on is not None
        assert ours.calibration.tuned_on.digest == on_host.calibration.tuned_on.digest
        assert ours.calibration.tuned_on.sketch == on_host.calibration.tuned_on.sketch
        np.testing.assert_array_equal(ours.curve, on_host.curve)
        np.testing.assert_array_equal(ours.unadjusted.errors, on_host.unadjusted.errors)
        np.testing.assert_array_equal(ours.adjusted.errors, on_host.adjusted.errors)
        assert ours.tau == pytest.approx(on_host.tau, rel=1e-12)
        assert (ours.rows, ours.exact) == (on_host.rows, on_host.exact)


def test_no_labelled_row() -> None:
    split = world(40)
    source = FakeDeviceSource(split.logits, np.full(40, NO_LABEL))
    with pytest.raises(DataError, match="model on rows: no row carries a label"):
        tuned(source, LINEAR)


def spoilt(row: int, column: int, value: float) -> NDArray[np.float32]:
    logits = world(150).logits.copy()
    logits[row, column] = value
    return logits


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


PLAIN = world(150).logits
REFUSED: dict[str, tuple[NDArray[Any], dict[str, Any], str]] = {
    "nan": (spoilt(0, 2, np.nan), {}, "row 0, class 2 is NaN"),
    "later nan": (spoilt(37, 4, np.nan), {}, "row 37, class 4 is NaN"),
    "last nan": (spoilt(149, 0, np.nan), {"scores": "logits"}, "row 149, class 0 is NaN"),
    "nan in half": (spoilt(21, 1, np.nan), {"precision": torch.bfloat16}, "row 21, class 1 is NaN"),
    "infinity": (spoilt(90, 1, -np.inf), {"stored": "float16"}, "class 1 is -inf; .* overflows"),
    "softmax": (softmax(PLAIN), {}, "look like probabilities"),
    "sigmoid": (1 / (1 + np.exp(-PLAIN)), {}, "as sigmoid outputs do"),
    "percentages": (100 * softmax(PLAIN), {}, "look like percentages"),
    "softmax later": (np.concatenate([PLAIN[:80], softmax(PLAIN[80:])]), {}, "look like prob"),
    "log-softmax": (np.log(softmax(PLAIN)), {"shift_blind": False}, "look like log-prob"),
    "called so": (PLAIN, {"shift_blind": False, "scores": "log-probs"}, "the raw logits"),
}


@pytest.mark.parametrize("one_buffer", [False, True])
@pytest.mark.parametrize("fault", REFUSED)
def test_bad_scores_are_refused_in_the_same_words(fault: str, one_buffer: bool) -> None:
    logits, others, words = REFUSED[fault]
    source = FakeDeviceSource(logits, world(150).labels, one_buffer=one_buffer, **others)
    with pytest.raises(DataError, match=words) as on_host:
        tuned(replace(source, on_device=False), LINEAR)
    with pytest.raises(DataError, match=words) as ours:
        tuned(source, LINEAR)
    assert str(ours.value) == str(on_host.value)


TAKEN: dict[str, tuple[NDArray[Any], dict[str, Any]]] = {
    "softmax called logits": (softmax(PLAIN), {"scores": "logits"}),
    "log-softmax, and a row's constant does not matter": (np.log(softmax(PLAIN)), {}),
    "probabilities declared": (softmax(PLAIN.astype("f8")), {"scores": "probs"}),
    "sums that overflow": (np.where(PLAIN > 0, np.float32(3e38), PLAIN), {}),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_only_looks_odd_is_taken(case: str) -> None:
    logits, others = TAKEN[case]
    source = FakeDeviceSource(logits, world(150).labels, precision=torch.float64, **others)
    ours = tuned(source, LINEAR)
    on_host = tuned(replace(source, on_device=False), LINEAR)
    assert encoded(ours.calibration) == encoded(on_host.calibration)


def test_a_good_batch_is_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: FakeDeviceSource, scores: NDArray[Any], start: int) -> Logits:
        raise AssertionError(f"rows from {start} were fetched")

    monkeypatch.setattr(FakeDeviceSource, "checked", refuse)
    for shift_blind in (True, False):
        tuned(served(shift_blind=shift_blind), LINEAR)
    with pytest.raises(AssertionError, match="from 32"):
        tuned(FakeDeviceSource(spoilt(40, 0, np.nan), world(150).labels), LINEAR)


def test_results_are_awaited_when_later_batches_are_under_way() -> None:
    source = served()
    seen = rows_of(source, family_of(problem_of(0, 1, len(COUNTS))))
    first = next(seen)
    assert len(source.drawn) == IN_FLIGHT + 1
    hashes = np.concatenate([first.hashes, *(one.hashes for one in seen)])
    np.testing.assert_array_equal(hashes, row_hashes(source.logits))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "no memory left .* --batch-size"),
        (
            RuntimeError("CUDA error: an illegal\x1b access\nAdvice"),
            r"failed: CUDA .*\\x1b access$",
        ),
    ],
)
def test_a_device_that_fails(error: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Lookout, batch: DeviceBatch) -> None:
        raise error

    monkeypatch.setattr(Lookout, "look", fail)
    with pytest.raises(LacalError, match=words) as raised:
        tuned(served(), LINEAR)
    assert type(raised.value) is RunError


def test_which_sources_are_looked_at_on_their_device() -> None:
    assert device_source(served()) is not None
    assert device_source(served(scores="logits")) is not None
    assert device_source(served(on_device=False)) is None
    assert device_source(served(scores="probs")) is None
    assert device_source(served(scores="log-probs")) is None
    assert set(METHODS) == {name for name, _ in KINDS}  # every method is tried above

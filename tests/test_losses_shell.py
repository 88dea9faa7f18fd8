"""`ClassLoss` and `make_loss`: weighted means, deferred re-weighting, buffers, and input that is none."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lacal.errors import DataError, UsageError
from lacal.loss_table import LOSSES, options_of
from lacal.losses import ClassLoss, make_loss, softmax_cross_entropy
from lacal.losses.rows import ROWS
from tests.loss_oracles import OTHER, cb_weights
from tests.minimising import one_thread  # noqa: F401

COUNTS = [500, 60, 7]
LABELS = torch.tensor([0, 0, 1, 2, 0])
LOGITS = torch.randn(5, 3, generator=torch.Generator().manual_seed(2))
WEIGHTED = [name for name, row in LOSSES.items() if row.weighted]


def made(name: str, said: dict[str, Any] | None = None, counts: Any = COUNTS) -> ClassLoss:
    return make_loss(name, counts, said, scale=30.0 if LOSSES[name].head == "cosine" else None)


def test_the_table_and_the_functions_have_the_same_rows() -> None:
    assert list(ROWS) == list(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_every_row_builds_and_says_what_it_is(name: str) -> None:
    loss = made(name)
    assert loss.options == {option: one.default for option, one in options_of(name).items()}
    assert (loss.name, loss.row) == (name, LOSSES[name])
    assert repr(loss).startswith(f"ClassLoss({name}")
    assert loss(LOGITS, LABELS).shape == ()
    assert loss.unreduced(LOGITS, LABELS).shape == (5,)
    assert not list(loss.parameters())


@pytest.mark.parametrize("name", LOSSES)
def test_every_option_acts(name: str) -> None:
    """Each option, moved alone from its default, moves the loss (or its gradient, where it says which flows)."""
    moved: dict[str, Any] = {
        "normalise": {"weights": "rows", "rows": "weights"},
        "form": {"paper": "code"},
        "detached": {False: True},
    }
    # An option may say nothing until another is set.
    needed: dict[tuple[str, str], dict[str, Any]] = {
        ("softmax-equalised", "gamma"): {"lambda": 0.3},
        ("logit-adjusted-consistent", "normalise"): {"tau": 0.5},
    }
    for option, one in options_of(name).items():
        other = moved.get(option, {}).get(one.default)
        if other is None:
            other = {"drw": 0.5, "lambda": 0.3, "beta": 0.9, "drw_beta": 0.9}.get(option, 0.7)
        beside = dict(needed.get((name, option), {"drw": 0.5} if option == "drw_beta" else {}))
        seen = []
        for said in (beside, beside | {option: other}):
            loss = made(name, said)
            loss.begin_epoch(1, 2)
            torch.manual_seed(0)
            logits = LOGITS.clone().requires_grad_()
            loss(logits, LABELS).backward()
            seen.append(logits.grad)
        assert not torch.allclose(*seen, rtol=1e-4), option


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_weighted_mean_has_the_normalisation_it_says(name: str) -> None:
    by_weights, by_rows = (made(name, {"normalise": word}) for word in ("weights", "rows"))
    losses = by_rows.unreduced(LOGITS, LABELS)
    weights = by_rows.weights[LABELS]
    assert by_rows(LOGITS, LABELS).item() == pytest.approx(losses.mean().item(), rel=1e-6)
    expected = (losses.sum() / weights.sum()).item()
    assert by_weights(LOGITS, LABELS).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "softmax-equalised"])
def test_the_mean_is_of_the_losses_of_the_rows(name: str) -> None:
    """Where PyTorch takes the mean in the same kernel, too; and with deferred weights."""
    for said in [{}] if LOSSES[name].weighted else [{}, {"drw": 0.5}]:
        loss = made(name, said)
        loss.begin_epoch(1, 2)
        losses, weights = loss.unreduced(LOGITS, LABELS), loss.weights[LABELS]
        if loss.options.get("normalise") == "rows":
            weights = torch.ones(5)
        expected = (losses.sum() / weights.sum()).item()
        assert loss(LOGITS, LABELS).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["balanced", "class-balanced"])
def test_the_weighted_mean_is_pytorchs(name: str) -> None:
    loss = made(name)
    pytorchs = torch.nn.functional.cross_entropy(LOGITS, LABELS, weight=loss.weights)
    assert loss(LOGITS, LABELS).item() == pytest.approx(pytorchs.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("drw", "epochs", "begins"),
    [(160, 200, 160), (0.8, 200, 160), (0.29, 100, 29), (0.8, 5, 4), (0.8, 4, 3), (0.5, 1, 0),
     (1, 3, 1), (60, 90, 60), (0.7, 10, 7)],
)  # fmt: skip
def test_deferred_weights_begin_at_their_epoch(drw: float, epochs: int, begins: int) -> None:
    loss = made("ldam", {"drw": drw, "drw_beta": 0.99})
    later = cb_weights(np.array(COUNTS, np.float64), 0.99)
    for epoch in range(epochs):
        loss.begin_epoch(epoch, epochs)
        expected = np.ones(3) if epoch < begins else later
        np.testing.assert_allclose(loss.weights, expected, rtol=1e-6, err_msg=str(epoch))
    loss.begin_epoch(0, epochs)  # a run that begins again
    assert bool((loss.weights == 1).all()) == (begins > 0)


def test_deferred_weights_weigh_as_pytorch_does() -> None:
    loss = made("softmax", {"drw": 1})
    loss.begin_epoch(0, 2)
    plain = softmax_cross_entropy(LOGITS, LABELS)
    assert loss(LOGITS, LABELS).item() == pytest.approx(plain.mean().item(), rel=1e-6)
    loss.begin_epoch(1, 2)
    weights = torch.tensor(cb_weights(np.array(COUNTS, np.float64), 0.9999)).float()
    pytorchs = torch.nn.functional.cross_entropy(LOGITS, LABELS, weight=weights)
    assert loss(LOGITS, LABELS).item() == pytest.approx(pytorchs.item(), rel=1e-6)


def test_weights_that_would_never_come_are_refused() -> None:
    loss = made("ldam", {"drw": 160})
    with pytest.raises(UsageError, match=r"loss ldam: drw 160 puts .* off to epoch 160 of 30"):
        loss.begin_epoch(0, 30)
    made("ldam").begin_epoch(0, 30)
    made("balanced").begin_epoch(0, 30)


def test_weighted_losses_have_no_deferred_weights() -> None:
    for name in WEIGHTED:
        with pytest.raises(UsageError, match="there is no option 'drw'"):
            made(name, {"drw": 0.8})


@pytest.mark.parametrize("name", LOSSES)
def test_buffers_make_a_round_trip(name: str, tmp_path: Path) -> None:
    """A loss of other counts that takes over a state is the loss that state was of, weights in force among it."""
    safetensors = pytest.importorskip("safetensors.torch")
    said = OTHER.get(name, {}) | ({} if LOSSES[name].weighted else {"drw": 0.5})
    loss = made(name, said)
    loss.begin_epoch(1, 2)
    safetensors.save_file(loss.state_dict(), tmp_path / "loss.safetensors")

    other = made(name, said, [3, 30, 3000])
    other.load_state_dict(safetensors.load_file(tmp_path / "loss.safetensors"))

    seen = []
    for one in (loss, other, copy.deepcopy(other)):
        torch.manual_seed(0)
        seen.append(one(LOGITS, LABELS))
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])


def test_float_counts_of_a_sampled_stream_are_taken_as_they_are() -> None:
    whole, share = made("logit-adjusted"), made("logit-adjusted", counts=np.array(COUNTS) / 567)
    np.testing.assert_allclose(share.offsets, whole.offsets, rtol=1e-6)
    assert not torch.equal(made("ldam", counts=[500.5, 60.2, 7.7]).margins, made("ldam").margins)
    assert torch.equal(made("ldam", counts=torch.tensor(COUNTS)).margins, made("ldam").margins)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("label", [-1, 3, -100, 2**40])
def test_labels_out_of_range_are_told(name: str, label: int) -> None:
    """-100 too, which PyTorch would pass over in silence."""
    with pytest.raises(
        DataError, match=rf"1 of 2 are out of range, such as {label}; expected 0\.\.2"
    ):
        made(name)(LOGITS[:2], torch.tensor([0, label]))


@pytest.mark.parametrize("name", LOSSES)
def test_what_would_be_broadcast_or_cast_is_refused(name: str) -> None:
    loss = made(name)
    wrong: list[tuple[Any, Any, str]] = [
        (LOGITS[:, :2], LABELS, r"logits: got torch.float32 of shape \(5, 2\); expected floating \(n, 3\)"),
        (LOGITS[0], LABELS[0], r"logits: got .* of shape \(3,\)"),
        (LOGITS.long(), LABELS, "logits: got torch.int64"),
        (LOGITS, LABELS[:1], r"labels: got torch.int64 of shape \(1,\); expected torch.int64 of shape \(5,\)"),
        (LOGITS, LABELS[:, None], r"labels: got .* of shape \(5, 1\)"),
        (LOGITS, LABELS.float(), "labels: got torch.float32"),
        (LOGITS, LABELS.int(), "labels: got torch.int32"),
        (LOGITS[:0], LABELS[:0], "the batch has no row"),
    ]  # fmt: skip
    for logits, labels, said in wrong:
        with pytest.raises(DataError, match=said):
            loss(logits, labels)


def test_unknown_losses_and_options_name_the_nearest() -> None:
    with pytest.raises(
        UsageError, match=r"no loss 'logit-ajusted'.* Did you mean 'logit-adjusted'\?"
    ):
        make_loss("logit-ajusted", COUNTS)
    with pytest.raises(UsageError, match=r"loss ldam: .*'max_margn'.* Did you mean 'max_margin'\?"):
        made("ldam", {"max_margn": 0.5})
    with pytest.raises(
        UsageError, match="loss focal: gamma: got '-1', expected a number, at least 0"
    ):
        made("focal", {"gamma": -1})


@pytest.mark.parametrize("scale", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_losses_of_cosines_need_their_scale(scale: float | None) -> None:
    for name, row in LOSSES.items():
        if row.head == "cosine":
            with pytest.raises(UsageError, match=f"loss {name} needs a cosine head"):
                make_loss(name, COUNTS, scale=scale)
    make_loss("logit-adjusted", COUNTS, scale=30.0)


def test_options_beyond_float32_are_refused() -> None:
    with pytest.raises(UsageError, match=r"its class weights run from .* 32 bits do not hold"):
        made("logit-adjusted-consistent", {"tau": -40})
    with pytest.raises(UsageError, match="its class weights run from"):
        made("logit-adjusted-consistent", {"tau": 40})
    with pytest.raises(UsageError, match="its multipliers overflow"):
        made("vector-scaling", {"gamma": -40})


def test_losses_are_computed_in_float32_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = torch.nn.functional.linear(LOGITS, torch.ones(3, 3))
        assert logits.dtype == torch.bfloat16
        for name in LOSSES:
            assert made(name)(logits, LABELS).dtype == torch.float32


def test_what_else_torch_refuses_is_no_fault_of_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory")

    for name in ("cross_entropy", "mean_cross_entropy"):
        monkeypatch.setattr(f"lacal.losses.shell.{name}", full)
    loss = made("softmax")
    for call in (loss, loss.unreduced):
        with pytest.raises(RuntimeError, match="not enough memory"):
            call(LOGITS, LABELS)

"""The rate of every epoch, against the code of the papers written out, and what is no schedule."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.errors import UsageError
from lacal.training.options import TrainOptions
from lacal.training.schedule import check_options, parse_schedule, rate

CAO = TrainOptions(epochs=200, lr=0.1, warmup=5, schedule="step:160,180:0.01,0.0001")


def of_ldam_drw(epoch: int, lr: float) -> float:
    """`adjust_learning_rate` of kaidic/LDAM-DRW, which counts epochs from 0 and adds 1."""
    epoch = epoch + 1
    if epoch <= 5:
        return lr * epoch / 5
    if epoch > 180:
        return lr * 0.0001
    return lr * 0.01 if epoch > 160 else lr


def test_the_recipe_of_cao_et_al_is_that_of_their_code() -> None:
    for epoch in range(200):
        assert rate(CAO, epoch) == pytest.approx(of_ldam_drw(epoch, 0.1), rel=1e-12)


@given(
    st.integers(1, 40), st.integers(0, 50), st.sampled_from(["constant", "cosine", "step:3:0.5"])
)
def test_no_rate_is_above_the_peak_nor_zero(epochs: int, warmup: int, schedule: str) -> None:
    options = TrainOptions(epochs=epochs, lr=0.3, warmup=warmup, schedule=schedule)
    rates = [rate(options, epoch) for epoch in range(epochs)]
    assert all(0 < one <= 0.3 * (1 + 1e-12) for one in rates)
    warm = rates[:warmup]
    assert warm == sorted(warm)
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    if warmup < epochs:
        assert rates[warmup] == pytest.approx(0.3) or schedule.startswith("step")


def test_cosine_is_torchs_annealing() -> None:
    torch = pytest.importorskip("torch")
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=0.2)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 10, eta_min=0)
    for epoch in range(10):
        ours = rate(TrainOptions(epochs=10, lr=0.2, schedule="cosine"), epoch)
        assert ours == pytest.approx(theirs.get_last_lr()[0], rel=1e-6)
        optimiser.step()
        theirs.step()


def test_one_factor_multiplies_at_every_step() -> None:
    share = parse_schedule("step:1,3:0.1")
    assert [share(epoch, 0, 5) for epoch in range(5)] == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cosin", "Did you mean 'cosine'?"),
        ("", "expected constant, cosine, or step"),
        ("step", "expected constant, cosine, or step"),
        ("step:5", "expected constant, cosine, or step"),
        ("step:a:0.1", "got 'step:a:0.1', expected"),
        ("step:5,5:0.1", "must be from 0 on and rise"),
        ("step:-1:0.1", "must be from 0 on and rise"),
        ("step:5:nan", "factors must be numbers from 0"),
        ("step:5,6,7:0.1,0.2", "3 epochs and 2 factors"),
    ],
)
def test_what_is_no_schedule(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_schedule(text)
    assert str(error.value).startswith("--schedule: got ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("given_options", "said"),
    [
        ({"epochs": 0}, "--epochs: got 0"),
        ({"batch_size": 1}, "--batch-size: got 1"),
        ({"lr": math.nan}, "--lr: got nan"),
        ({"lr": 0.0}, "--lr: got 0"),
        ({"clip": -1.0}, "--clip: got -1"),
        ({"weight_decay": -0.1}, "--weight-decay: got -0.1"),
        ({"momentum": math.inf}, "--momentum: got inf"),
        ({"nesterov": True, "momentum": 0.0}, "--nesterov: is a way"),
        ({"nesterov": True, "optimiser": "adamw"}, "--nesterov: is a way"),
        ({"schedule": "steps"}, "--schedule: got 'steps'"),
    ],
)
def test_options_that_no_run_can_go_by(given_options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as error:
        check_options(TrainOptions(**given_options))  # type: ignore[arg-type]
    assert said in str(error.value)


def test_the_defaults_and_the_recipe_are_fine() -> None:
    check_options(TrainOptions())
    check_options(CAO)

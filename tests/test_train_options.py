"""`lacal train`: what its options settle, before anything is read; and the lists it prints."""

from pathlib import Path
from typing import Any

import pytest

from lacal.named_options import Value
from lacal.training.options import TrainOptions
from lacal.training.recipes import RECIPES
from tests.small_world import lacal, refusal

torch = pytest.importorskip("torch")

from lacal.errors import UsageError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the verb is asked for, in place of running it; the command then ends with an error."""
    kept: dict[str, Any] = {}

    def run(data: Any, options: Any, out: Path, **given: Any) -> None:
        kept.update(data=data, options=options, out=out, **given)
        raise UsageError("asked")

    monkeypatch.setattr("lacal.training.run.run_training", run)
    return kept


def settled(asked: dict[str, Any], *line: object) -> TrainOptions:
    assert lacal("train", "x", "-o", "run", *line) == 2
    options = asked["options"]
    assert isinstance(options, TrainOptions)
    return options


DRW: dict[str, Value] = {"drw": 0.0, "drw_beta": 0.9999}


def test_nothing_said_is_what_the_options_say_of_themselves(asked: dict[str, Any]) -> None:
    assert settled(asked) == TrainOptions(loss_options=DRW)
    assert asked["out"] == Path("run")
    assert (asked["resume"], asked["force"], asked["start"]) == (False, False, None)


def test_adamw_has_a_rate_of_its_own(asked: dict[str, Any]) -> None:
    assert settled(asked, "--optimiser", "adamw").lr == 0.001
    assert settled(asked, "--optimiser", "adamw", "--lr", "0.1").lr == 0.1


def test_every_option_arrives(asked: dict[str, Any]) -> None:
    line = [
        "--network",
        "mlp:64",
        "--head",
        "cosine",
        "--head-option",
        "scale=20",
        "--loss",
        "vector-scaling",
        "--loss-option",
        "tau=1.25",
        "--loss-option",
        "gamma=0.15",
        "--sampler",
        "square-root",
        "--epochs",
        "7",
        "--batch-size",
        "32",
        "--optimiser",
        "adamw",
        "--lr",
        "1e-3",
        "--momentum",
        "0.8",
        "--nesterov",
        "--weight-decay",
        "0.01",
        "--warmup",
        "2",
        "--schedule",
        "step:3,5:0.1",
        "--clip",
        "5",
        "--augment",
        "crop:2,flip",
        "--precision",
        "bfloat16",
        "--keep",
        "last",
        "--seed",
        "3",
        "--device",
        "cpu",
        "--threads",
        "2",
    ]
    line.remove("--nesterov")
    assert settled(asked, *line) == TrainOptions(
        network="mlp:64",
        head="cosine",
        head_options={"scale": 20.0},
        loss="vector-scaling",
        loss_options={"tau": 1.25, "gamma": 0.15, **DRW},
        sampler="square-root",
        epochs=7,
        batch_size=32,
        optimiser="adamw",
        lr=1e-3,
        momentum=0.8,
        weight_decay=0.01,
        warmup=2,
        schedule="step:3,5:0.1",
        clip=5.0,
        augment="crop:2,flip",
        precision="bfloat16",
        keep="last",
        seed=3,
        device="cpu",
        threads=2,
    )
    assert settled(asked, "--nesterov").nesterov
    assert settled(asked, "--model", "a.b:c").model == "a.b:c"


def test_the_data_options_arrive(asked: dict[str, Any]) -> None:
    line = [
        "--val",
        "v",
        "--test",
        "t",
        "--long-tail",
        "exp:100",
        "--counts",
        "c.csv",
        "--input",
        "x_train",
        "--label-key",
        "y",
        "--id-key",
        "i",
        "--root",
        "r",
        "--workers",
        "2",
        "--resize",
        "8",
        "--scale",
        "1/255",
        "--mean",
        "0.5",
        "--std",
        "0.25",
        "--seed",
        "4",
    ]
    settled(asked, *line)
    data = asked["data"]
    assert (data.data, data.val, data.test) == (Path("x"), Path("v"), Path("t"))
    assert (data.val_fraction, data.long_tail, data.counts) == (None, "exp:100", Path("c.csv"))
    assert (data.input, data.label_key, data.id_key) == ("x_train", "y", "i")
    assert (data.root, data.workers, data.seed, data.normalise) == (Path("r"), 2, 4, True)
    assert (data.preprocessing.resize, data.preprocessing.scale) == (8, 1 / 255)
    settled(asked, "--val-fraction", "0.2", "--no-normalise")
    assert (asked["data"].val_fraction, asked["data"].normalise) == (0.2, False)


def test_the_head_is_what_the_loss_needs(asked: dict[str, Any]) -> None:
    options = settled(asked, "--loss", "ldam")
    assert (options.head, options.head_options) == ("cosine", {"scale": 30.0})
    assert settled(asked, "--loss", "ldam", "--head", "cosine").head == "cosine"
    assert settled(asked, "--head", "causal-norm").head_options["parts"] == 2


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_settles_its_values(asked: dict[str, Any], name: str) -> None:
    options = settled(asked, "--recipe", name)
    for field, value in RECIPES[name].values.items():
        settled_value = getattr(options, field)
        if isinstance(value, dict):
            assert settled_value.items() >= value.items(), field
        else:
            assert settled_value == value, field


def test_what_is_typed_goes_before_the_recipe(
    asked: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    line = (
        "--recipe",
        "cao2019-cifar",
        "--lr",
        "0.1",
        "--epochs",
        "190",
        "--loss-option",
        "drw=0.5",
    )
    options = settled(asked, *line)
    assert (options.lr, options.epochs, options.batch_size) == (0.1, 190, 128)
    assert options.loss_options == {"max_margin": 0.5, "drw": 0.5, "drw_beta": 0.9999}
    err = capfd.readouterr().err
    assert "recipe cao2019-cifar: LDAM with deferred re-weighting" in err
    assert "  epochs         190 (as you say; the recipe: 200)" in err
    assert "  lr             0.1 (as you say; the recipe: 0.1)" in err
    assert "drw 0.5, drw_beta 0.9999 (as you say; the recipe: max_margin 0.5, drw 0.8" in err


def test_another_loss_leaves_the_recipes_own_head_and_loss_options_out(
    asked: dict[str, Any],
) -> None:
    options = settled(asked, "--recipe", "cao2019-cifar", "--loss", "softmax")
    assert (options.loss, options.loss_options) == ("softmax", DRW)
    assert (options.head, options.network, options.epochs) == ("linear", "resnet32", 200)


def test_environment_and_file_go_before_the_recipe(
    asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "own.toml"
    config.write_text("[train]\nlr = 0.3\nloss-option = ['tau=2']\n")
    line = ("train", "x", "-o", "run", "--recipe", "menon2021-cifar")
    monkeypatch.setenv("LACAL_TRAIN_EPOCHS", "190")
    assert lacal("--config", config, *line) == 2
    options = asked["options"]
    assert (options.lr, options.epochs, options.loss_options["tau"]) == (0.3, 190, 2.0)


def test_a_second_stage(asked: dict[str, Any]) -> None:
    line = (
        "--start",
        "begun",
        "--second-stage",
        "crt",
        "--stage-option",
        "epochs=3",
        "--seed",
        "5",
    )
    assert settled(asked, *line).seed == 5
    start = asked["start"]
    assert (start.folder, start.stage, start.options["epochs"]) == (Path("begun"), "crt", 3.0)
    assert start.options["batch_size"] == 128


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        (("--loss", "lgit-adjusted"), "Did you mean 'logit-adjusted'?"),
        (("--loss-option", "tua=1", "--loss", "logit-adjusted"), "Did you mean 'tau'?"),
        (("--loss", "ldam", "--loss-option", "max_margin=-1"), "--loss-option (ldam): max_margin"),
        (("--loss", "ldam", "--head", "linear"), "the loss ldam needs a cosine head"),
        (("--head-option", "scale=3"), "--head-option (linear): there is no option 'scale'"),
        (("--network", "resnet23"), "Did you mean 'resnet32'?"),
        (("--recipe", "coa2019-cifar"), "Did you mean 'cao2019-cifar'?"),
        (("--sampler", "class-blanced"), "Did you mean 'class-balanced'?"),
        (("--schedule", "cosinus"), "Did you mean 'cosine'?"),
        (("--epochs", "0"), "0 is not in the range"),
        (("--lr", "0"), "0 is out of range; expected a number above 0"),
        (("--lr", "nan"), "nan is out of range"),
        (("--lr", "fast"), "'fast' is not a valid float"),
        (("--val-fraction", "1"), "expected a number above 0 and at most 0.9"),
        (("--val", "v", "--val-fraction", "0.1"), "leave --val-fraction out"),
        (("--no-normalise", "--mean", "0.5"), "leave --mean out"),
        (("--model", "a:b", "--network", "mlp"), "leave --network out"),
        (("--scale", "1/0"), "--scale: got '1/0'"),
        (("--second-stage", "crt"), "leave --second-stage out"),
        (("--start", "begun"), "--second-stage crt or lws or disalign"),
        (("--start", "begun", "--second-stage", "crt", "--lr", "1"), "leave --lr out"),
        (("--start", "begun", "--second-stage", "crt", "--recipe", "menon2021-cifar"), "leave --recipe"),
        (("--start", "begun", "--second-stage", "crtt"), "Did you mean 'crt'?"),
        (("--start", "b", "--second-stage", "crt", "--stage-option", "epoch=1"), "Did you mean 'epochs'?"),
        (("--list", "loses"), "Did you mean 'losses'?"),
    ],
)  # fmt: skip
def test_bad_usage(
    asked: dict[str, Any], capfd: pytest.CaptureFixture[str], line: tuple[str, ...], fragment: str
) -> None:
    assert fragment in refusal(capfd, "train", "x", "-o", "run", *line)
    assert not asked


def test_without_torch_the_extra_is_named_before_data_are_read(
    asked: dict[str, Any], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lacal.cli.train.find_spec", lambda name: None if name == "torch" else True)
    told = refusal(capfd, "train", "none.npz", "-o", "run")
    assert "training needs torch, which is not installed; run: pip install 'lacal[torch]'" in told
    assert not asked


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("losses", "max_margin=0.5"),
        ("recipes", "kaidic/LDAM-DRW"),
        ("networks", "resnet32"),
        ("heads", "scale=30"),
        ("samplers", "progressive"),
        ("second-stages", "crt: classifier re-training"),
    ],
)
def test_lists_need_no_data(capfd: pytest.CaptureFixture[str], name: str, fragment: str) -> None:
    assert lacal("train", "--list", name) == 0
    out, err = capfd.readouterr()
    assert fragment in out
    assert err == ""
    assert all(len(line) <= 100 for line in out.splitlines())

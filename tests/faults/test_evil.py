"""Files made to harm: nothing in them runs, nothing leaves the folder, and each is refused in a sentence.

Every command line runs under an audit hook, which a file that gets its way would trip; `test_the_traps_are_live`
shows that it does. Each file meets one of its command lines here, all of them by `python -m tests.soak evil`.
"""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")
pytest.importorskip("PIL")

from tests.faults.evil.guard import Guard
from tests.faults.evil.trial import EVIL, goods, tried
from tests.small_world import refusal


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return goods(tmp_path_factory.mktemp("goods"))


@pytest.mark.parametrize("number", range(len(EVIL)), ids=[one.name for one in EVIL])
def test_evil_files(number: int, beside: Path, guard: Guard) -> None:
    lines = EVIL[number].lines
    # Files of a kind have the same lines in the same order: each takes the one after its neighbour's.
    assert not tried(EVIL[number], lines[number % len(lines)], beside, guard)


TRUSTED = "infer {} x.npy -o o.npz --trust-model"


@pytest.mark.parametrize(
    "name", ["at-load.pt", "at-run.pt", "opaque-object.pt2", "expression.pt2", "pickled-weight.pt2"]
)
def test_the_traps_are_live(name: str, beside: Path, guard: Guard) -> None:
    """With trust the very same files get their way, and the tests above would have told."""
    (evil,) = [one for one in EVIL if one.name == name]
    faults = tried(evil, TRUSTED, beside, guard)
    assert any("made ['marker']" in one or ": caught " in one for one in faults), faults


# File, which of its lines, and what the error must say: each was met with a fault of lacal's own, or obeyed.
MENDED = [
    ("vouched-run", 1, "every checkpoint is damaged or gone (1 of them)"),
    ("nested-run", 0, "nested-run: holds no run"),
    ("planned-run", 0, "the broken run's plan cannot be read"),
    ("nested-run", 1, "nested-run: "),
    ("trusted.toml", 0, "trust-model of infer lets a model run code of its own; say --trust-model on the"),
    ("owned.toml", 0, "model of train runs code; say --model on the command line, or name a file"),
    ("forced.toml", 0, "force of evaluate replaces files; say --force on the command line, or name a"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "at", "words"), MENDED)
def test_what_was_mended(
    name: str,
    at: int,
    words: str,
    beside: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (evil,) = [one for one in EVIL if one.name == name]
    folder = tmp_path / "work"
    shutil.copytree(beside, folder)
    evil.make(folder, tmp_path / "marker")
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert words in refusal(capfd, *evil.lines[at].replace("{}", name).split(" "))
    assert not (tmp_path / "marker").exists()
    assert sorted(folder.iterdir()) == before


def test_a_file_that_is_named_may_name_code_of_the_users_own(
    beside: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[train]\nmodel = "nowhere_at_all:build"\n')
    line = ("train", beside / "rows.npz", "-o", tmp_path / "run", "--epochs", 1)
    assert "module 'nowhere_at_all'" in refusal(capfd, "--config", config, *line)


def test_there_are_enough_of_them() -> None:
    assert len(EVIL) >= 100
    assert len({(one.name, one.lines) for one in EVIL}) >= 100

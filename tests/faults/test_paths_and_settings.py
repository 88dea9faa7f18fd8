"""Paths that are no text, settings that go astray and memory that is short: faults that were found by trying."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal.cli import main as command_line
from lacal.pipeline.infer import infer
from tests.infer_source import sample
from tests.small_world import NAMES, json_of, lacal, refusal

NOT_TEXT = os.fsdecode(b"d\xff")


@pytest.mark.parametrize("name", ["out.parquet", "out.npz", "out", f"{NOT_TEXT}.npy"])
def test_logits_are_stored_at_a_path_that_is_no_text(tmp_path: Path, name: str) -> None:
    (tmp_path / NOT_TEXT).mkdir()
    for folder in (tmp_path, tmp_path / NOT_TEXT):
        infer(sample(), folder / name)
        assert [one.name for one in folder.iterdir() if one.name != NOT_TEXT] == [name]
    plain, odd = tmp_path / name, tmp_path / NOT_TEXT / name
    assert lacal("inspect", odd) == 0
    if plain.is_file():
        assert plain.read_bytes() == odd.read_bytes()


@pytest.mark.parametrize("name", ["odd.parquet", "parts", "odd.csv"])
def test_tables_are_read_from_a_path_that_is_no_text(
    folder: Path, capfd: pytest.CaptureFixture[str], calibration: Path, name: str
) -> None:
    plain, odd = folder / "p.parquet", folder / NOT_TEXT / name
    assert lacal("adjust", folder / "test.npz", "--calibration", calibration, "-o", plain) == 0
    if name.endswith(".csv"):
        plain = folder / "p.csv"
        plain.write_text("a,b,label\n1,2,1\n3,2,0\n")
    (folder / NOT_TEXT).mkdir()
    if name == "parts":
        odd.mkdir()
    shutil.copy(plain, odd / "part.parquet" if name == "parts" else odd)
    found = [json_of(capfd, "evaluate", one)["measures"] for one in (plain, odd)]
    assert found[0] == found[1] != []


def test_a_torchscript_file_at_a_path_that_is_no_text(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from lacal.models.torch.load import load_script
    from tests.models.torch_models import quietly

    net, x = torch.nn.Linear(3, 2), torch.ones(1, 3)
    content = quietly(torch.jit.trace, net, x)
    for name in ("m.pt", f"{NOT_TEXT}.pt"):
        (tmp_path / name).write_bytes(content)
        assert torch.equal(load_script(tmp_path / name, trust=True)(x), net(x))


def test_short_memory_in_a_callback_leaves_no_trace(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fails:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def __del__(self) -> None:
            raise self.error

    def fail(config: str | None) -> dict[str, Any]:
        Fails(MemoryError())
        Fails(ValueError("told"))
        return {}

    heard: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: heard.append(found.exc_value))
    before = sys.unraisablehook
    monkeypatch.setattr(command_line, "defaults", fail)
    assert lacal("inspect", folder / "test.npz") == 0
    assert [str(one) for one in heard] == ["told"]
    assert sys.unraisablehook is before


def test_what_is_no_option_has_no_place_among_settings(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = folder / "c.toml"
    config.write_text(f"[inspect]\nsource = '{folder / 'test.npz'}'\n")
    for typed in ([], [folder / "val.npz"]):
        said = refusal(capfd, "--config", config, "inspect", *typed)
        assert said.endswith("c.toml: 'source' is no option of inspect.")


def test_a_bad_value_is_blamed_on_where_it_stands(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    settings = "[{}evaluate]\nbins = 'x'\n"
    Path("c\x1b.toml").write_text(settings.format(""))
    line = ("evaluate", "test.npz", "--counts", "counts.csv")
    assert "for '--bins': 'y'" in refusal(capfd, "--config", "c\x1b.toml", *line, "--bins", "y")
    assert r"for '--bins' in c\x1b.toml: 'x'" in refusal(capfd, "--config", "c\x1b.toml", *line)
    Path("pyproject.toml").write_text(settings.format("tool.lacal."))
    assert "for '--bins' in pyproject.toml [tool.lacal]: 'x'" in refusal(capfd, *line)
    monkeypatch.setenv("LACAL_EVALUATE_BINS", "z")
    assert "for '--bins' in LACAL_EVALUATE_BINS: 'z'" in refusal(capfd, *line)
    assert "No such option '--bind'" in refusal(capfd, *line, "--bind", "1")


def test_a_path_that_is_nothing_is_not_the_folder_lacal_runs_in(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = folder / "c.toml"
    config.write_text("[evaluate]\ncalibration = ''\n")
    said = refusal(capfd, "--config", config, "evaluate", folder / "test.npz")
    assert f"for '--calibration' in {config}: names no path; give one" in said
    assert "for 'SOURCE': names no path" in refusal(capfd, "inspect", "")
    assert "names no path" in refusal(capfd, "adjust", folder / "test.npz", "-o", "")


def test_shares_and_groups_of_nothing_are_not_those_of_the_folder_lacal_runs_in(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "alone").mkdir()
    monkeypatch.chdir(folder / "alone")
    pq.write_table(pa.table({"class": NAMES, "count": [4, 4, 4, 4, 1]}), "shares.parquet")
    line = ("evaluate", folder / "test.npz", "--counts", folder / "counts.csv")
    for option, kinds in (("--target-prior", "uniform, train, or"), ("--groups", "MANY,FEW")):
        said = refusal(capfd, *line, option, "")
        assert f"{option}: got '', which is no file; expected {kinds}" in said


def test_a_gate_on_the_p_value_that_can_never_hold(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pair = ("compare", folder / "test.npz", folder / "test.npz")
    for gate in ("mcnemar.p > 2", "mcnemar.p < 0", "2 < mcnemar.p", "mcnemar.p - 1 > 0"):
        assert "can never hold" in refusal(capfd, *pair, "--fail-if", gate)
    for gate, code in (("mcnemar.p > 0.9", 1), ("mcnemar.p < 1", 0), ("mcnemar.p.n > 2", 0)):
        assert lacal(*pair, "--fail-if", gate) == code


def test_threads_beyond_the_cores_do_not_wait_busily(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    from lacal.cores import usable_cores
    from tests.models.onnx_small import model, opened

    heard: list[Any] = []
    real = runtime.InferenceSession

    def session(content: Any, options: Any, **given: Any) -> Any:
        heard.append(options)
        return real(content, options, **given)

    monkeypatch.setattr(runtime, "InferenceSession", session)
    for threads in (usable_cores(), usable_cores() + 1):
        running = opened(model(), tmp_path, threads=threads)
        assert running.run([np.zeros((2, 4), np.float32)]).shape == (2, 3)
    key = "session.intra_op.allow_spinning"
    with pytest.raises(RuntimeError, match=key):  # its own default, which waits busily
        heard[0].get_session_config_entry(key)
    assert heard[1].get_session_config_entry(key) == "0"

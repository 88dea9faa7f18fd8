"""`env`: what a bug report needs, also where something is broken."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import lacal as package
from lacal import environment
from lacal.cli.commands import COMMANDS, command_named
from lacal.environment import LIBRARIES, ask
from tests.small_world import json_of, lacal

ROOT = Path(package.__file__).parent


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Asking torch takes seconds; one test does."""
    if "real" not in request.fixturenames:
        monkeypatch.setattr(environment, "_ASKED", {})


@pytest.fixture
def real() -> None:
    """Ask the runtimes."""


def test_the_libraries_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]

    def names(requirements: list[str]) -> tuple[str, ...]:
        return tuple(re.split(r"[<>=\[ ]", one)[0] for one in requirements)

    assert LIBRARIES[None] == names(project["dependencies"])
    extras = project["optional-dependencies"]
    every = {name: names(extras[name]) for name in extras}
    listed = {
        name: found for name, found in every.items() if "lacal" not in found
    }  # not sums of others
    assert {name: LIBRARIES[name] for name in LIBRARIES if name is not None} == listed


def test_json_holds_versions_and_the_machine(capfd: pytest.CaptureFixture[str]) -> None:
    found = json_of(capfd, "env")
    assert found["lacal"] == package.__version__
    assert found["python"].startswith(".".join(map(str, sys.version_info[:3])))
    versions = {one["name"]: one["version"] for one in found["libraries"]}
    assert versions["numpy"] == np.__version__
    assert versions["click"] == metadata.version("click")
    assert 1 <= found["cpus"]["usable"] <= found["cpus"]["total"] == os.cpu_count()
    assert found["memory_bytes"] is None or found["memory_bytes"] > 1 << 28
    assert Path(found["location"]) == ROOT


def test_text_is_a_line_for_each_thing(capfd: pytest.CaptureFixture[str]) -> None:
    assert lacal("env") == 0
    out, err = capfd.readouterr()
    assert err == ""
    lines = dict(re.split(r" {2,}", line, maxsplit=1) for line in out.splitlines())
    assert lines["numpy"] == np.__version__
    assert lines["lacal"].startswith(f"{package.__version__} in ")
    assert {"python", "platform", "processor", "memory", "encoding"} <= lines.keys()


def test_the_runtimes_say_what_they_can_use(real: None, capfd: pytest.CaptureFixture[str]) -> None:
    found = {one["name"]: one for one in json_of(capfd, "env")["runtimes"]}
    installed = {one.name for one in metadata.distributions()} & {"torch", "onnxruntime"}
    assert found.keys() == installed
    if "onnxruntime" in found:
        assert "CPUExecutionProvider" in found["onnxruntime"]["providers"]
    if "torch" in found:
        assert found["torch"]["version"] == metadata.version("torch")
        assert found["torch"]["threads"] >= 1
    assert all(one["fault"] is None for one in found.values())


# What is broken


def broken(folder: Path, module: str, code: str) -> None:
    """A package that takes the place of an installed one, and does this when it is imported."""
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text(code)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("raise ImportError('libcudart.so.12: no such file')", "cannot be imported: ImportError: libcudart"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"crashes when it is imported \(signal 11\)"),
        ("import time; time.sleep(60)", "did not answer within"),
        ("import os; os._exit(0)", "answers with something else: it says nothing"),
        ("print('\x1b[31m' * 500); 1 / 0", "ZeroDivisionError"),
        ("", "AttributeError"),
    ],
)  # fmt: skip
def test_a_broken_runtime_is_told_of(
    real: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, fault: str
) -> None:
    broken(tmp_path, "torch", code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(environment, "ASK_SECONDS", 2)
    found = ask("torch")
    assert found.found == {}
    assert re.search(fault, str(found.fault))


def test_it_runs_without_a_numpy_that_works(tmp_path: Path) -> None:
    for module in ("numpy", "pyarrow", "rich", "torch", "onnxruntime"):
        broken(tmp_path, module, "raise ImportError('broken')")
    done = subprocess.run(
        [sys.executable, "-m", "lacal", "env", "--json"],
        capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "LACAL_TUNETAU_SELECT": "min"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all("ImportError: broken" in one["fault"] for one in found["runtimes"])
    assert {one["name"]: one["version"] for one in found["libraries"]}["numpy"] is not None


# Settings and variables


def variables(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return {one["name"]: one["fault"] for one in json_of(capfd, "env")["variables"]}


def test_variables_of_lacal_are_known_or_named(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LACAL_TUNE_TAU_SELECT", "min")
    monkeypatch.setenv("LACAL_TUNETAU_SELECT", "min")
    monkeypatch.setenv("LACAL_XYZZY", "\x1b[31m")
    monkeypatch.setenv("NO_COLOR", "1")
    found = variables(capfd)
    assert found["LACAL_TUNE_TAU_SELECT"] is None
    assert found["NO_COLOR"] is None
    fault = found["LACAL_TUNETAU_SELECT"]
    assert fault == "is no option of lacal. Did you mean LACAL_TUNE_TAU_SELECT?"
    assert found["LACAL_XYZZY"] == "is no option of lacal."
    assert lacal("env") == 0
    out = capfd.readouterr().out
    assert "\x1b" not in out
    assert r"\x1b[31m" in out


def test_every_option_can_be_set_by_a_variable_that_is_known(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As click names them: what is set is what the command sees."""
    taken = {"LACAL_DEBUG": "0", "LACAL_CONFIG": ""}
    for name in COMMANDS:
        for param in command_named(name).params:
            # The environment must not stand in the way of the command that shows it.
            if isinstance(param, click.Option) and name != "env":
                taken[f"LACAL_{name.replace('-', '_').upper()}_{str(param.name).upper()}"] = ""
    for name, value in taken.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LACAL_ENV_JSON", "maybe")
    assert lacal("env", "--json") == 0
    out = capfd.readouterr().out
    found = {one["name"]: one["fault"] for one in json.loads(out)["variables"]}
    assert {name: found[name] for name in taken} == dict.fromkeys(taken)


def test_settings_are_told_of_also_where_they_are_broken(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert json_of(capfd, "env")["settings"] == []
    project = tmp_path / "pyproject.toml"
    project.write_text("[tool.lacal.tune-tau]\nselect = 'min'\n")
    place = f"{project} [tool.lacal]"
    assert json_of(capfd, "env")["settings"] == [{"place": place, "fault": None}]
    project.write_text("[tool.lacal.tune-tau]\nselct = 'min'\n")
    [one] = json_of(capfd, "env")["settings"]
    assert one["place"] == place
    assert "'selct' is no option of tune-tau. Did you mean 'select'?" in one["fault"]
    assert lacal("env") == 0
    assert re.search(
        r"^settings +broken: .*'selct' is no option", capfd.readouterr().out, re.MULTILINE
    )
    assert lacal("inspect", "x") == 2  # every other command stops
    (tmp_path / "own.toml").write_text("[env]\nformat = 'json'\n")
    assert lacal("--config", "own.toml", "env") == 0
    found = json.loads(capfd.readouterr().out)
    assert found["settings"] == [{"place": str(tmp_path / "own.toml"), "fault": None}]


# Machines that are not this one


def test_what_is_not_installed_says_what_brings_it(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = {None: ("no-such-library",), "torch": ("no-torch",), "onnx": ("onnxruntime",)}
    monkeypatch.setattr(environment, "LIBRARIES", absent)
    monkeypatch.setattr(environment, "OTHER_NAMES", {"no-torch": ("numpy",)})
    assert lacal("env") == 0
    lines = dict(re.split(r" {2,}", line, maxsplit=1) for line in capfd.readouterr().out.splitlines())  # fmt: skip
    assert lines["no-such-library"] == "not installed; pip install lacal brings it"
    assert lines["no-torch"] == f"{np.__version__} (numpy)"  # under another name
    monkeypatch.setattr(environment, "OTHER_NAMES", {})
    assert lacal("env") == 0
    assert "not installed; pip install 'lacal[torch]' brings it" in capfd.readouterr().out


def test_a_runtime_that_fails_is_told_in_text(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_ASKED", {"numpy": "raise ImportError('broken')"})
    assert lacal("env") == 0
    assert "nothing: it cannot be imported: ImportError: broken" in capfd.readouterr().out


def test_what_the_runtimes_run_on(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "onnxruntime": {
            "version": "1",
            "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"],
        },
        "torch": {
            "version": "2",
            "cuda": "12.8",
            "devices": ["NVIDIA H200, 139 GiB"],
            "threads": 4,
        },
        "numpy": {"version": "2", "cuda": None, "devices": [], "threads": 4},
    }
    asked = {name: f"print({json.dumps(json.dumps(one))})" for name, one in answers.items()}
    monkeypatch.setattr(environment, "_ASKED", asked)
    monkeypatch.setattr(environment, "_version", lambda name: "1")
    monkeypatch.setattr(environment, "LIBRARIES", {None: tuple(answers)})
    assert lacal("env") == 0
    out = capfd.readouterr().out
    for told in (
        "CUDAExecutionProvider, CPUExecutionProvider",
        "NVIDIA H200, 139 GiB (built for CUDA 12.8)",
        "CPU, 4 threads (built without CUDA)",
    ):
        assert told in out


def test_no_process_to_ask_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_ASKED", {"torch": ""})
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    fault = "no process could be started to ask it (No such file or directory)"
    assert ask("torch").fault == fault


@pytest.mark.parametrize(
    ("files", "cpus", "memory"),
    [
        ({"/sys/fs/cgroup/cpu.max": "150000 100000"}, 2, None),
        ({"/sys/fs/cgroup/cpu.max": "1000 100000"}, 1, None),
        ({"/sys/fs/cgroup/cpu.max": "max 100000"}, 4, None),
        ({"/proc/meminfo": "MemTotal:  1000 kB"}, 4, 1_024_000),
        ({"/proc/meminfo": "MemTotal:  1000 kB", "/sys/fs/cgroup/memory.max": "1000\n"}, 4, 1_000),
        ({"/proc/meminfo": "MemTotal:  1000 kB", "/sys/fs/cgroup/memory.max": "max"}, 4, 1_024_000),
        ({"/sys/fs/cgroup/memory.max": "1000"}, 4, 1_000),
    ],
)
def test_the_share_of_a_container(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cpus: int, memory: int | None
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    monkeypatch.setattr(environment, "_text", lambda path: files.get(path, ""))
    found = environment.environment(())
    assert (found.cpus[0], found.memory) == (cpus, memory)


def test_a_machine_that_says_nothing() -> None:
    assert environment._text("/nonexistent") == ""

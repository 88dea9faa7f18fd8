"""`completion`: what bash offers, asked through its own script; and what zsh and fish are answered."""

import os
import pty
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lacal.cli.commands import COMMANDS
from lacal.cli.completing import metric_names
from lacal.cli.options import METHOD_NAMES
from lacal.cli.shells import SHELLS
from lacal.gates.grammar import parse_gate
from lacal.loss_table import LOSSES
from lacal.tau.selection import RULES
from lacal.training.head_table import HEADS
from lacal.training.recipes import RECIPES
from lacal.training.second_stage_table import SECOND_STAGES
from tests.small_world import json_of, lacal
from tests.test_cli import HEAVY, WATCHED

FILES = ("FILES",)  # bash completes names of files itself


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds `lacal`, to be put on the PATH."""
    folder = tmp_path_factory.mktemp("bin")
    run = folder / "lacal"
    run.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m lacal "$@"\n')
    run.chmod(0o755)
    return folder


def with_program(program: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{program}:{os.environ['PATH']}", "TERM": "dumb"}


def torn(line: str) -> list[str]:
    """The words of a line as bash hands them to a completion, the one before the cursor last."""
    words, word, quote = [], "", ""
    for c in line:
        if c in "'\"" and quote in ("", c):
            quote = "" if quote else c
            word += c
        elif quote:
            word += c
        elif c in " =:":
            words += [one for one in (word, c.strip()) if one]
            word = ""
        else:
            word += c
    # Behind = or : stands no empty word yet: the sign itself is the current one.
    return words if not word and words[-1] in ("=", ":") and line[-1] != " " else [*words, word]


def in_bash(program: Path, lines: list[str]) -> list[list[str]]:
    """What the script that `lacal completion bash` prints offers for each line."""
    ask = [
        'eval "$(lacal completion bash)"',
        'compopt() { COMPREPLY=("${COMPREPLY[@]}" FILES); }',  # which only readline may call
    ]
    for line in lines:
        words = torn(line)
        ask.append(f"COMP_WORDS=({' '.join(shlex.quote(word) for word in words)})")
        ask.append(f"COMP_CWORD={len(words) - 1}; COMPREPLY=(); _lacal_completion lacal")
        ask.append("""printf '%s\\n' "${COMPREPLY[@]}"; echo ---""")
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(ask)],
        env=with_program(program), capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stderr == ""
    offered = done.stdout.split("---\n")[:-1]
    return [[word for word in one.splitlines() if word] for one in offered]


OFFERED = {
    "lacal ": tuple(COMMANDS),
    "lacal ev": ("evaluate",),
    "lacal completion ": SHELLS,
    "lacal tune-tau --sel": ("--select",),
    "lacal tune-tau --select ": RULES,
    "lacal tune-tau val.npz --method ": METHOD_NAMES,
    "lacal tune-tau val.npz --method=wei": ("weight-norm",),
    "lacal train x --loss ": tuple(LOSSES),
    "lacal train x --head ": tuple(HEADS),
    "lacal train x --recipe ": tuple(RECIPES),
    "lacal train x --second-stage ": tuple(SECOND_STAGES),
    "lacal train x --loss ldam --loss-option max": ("max_margin=0.5",),
    "lacal train x --loss balanced --loss-option normalise=": ("weights", "rows"),
    "lacal train x --loss balanced --loss-option=normalise=w": ("weights",),
    "lacal train x --loss focal --loss-option detached=": ("yes", "no"),
    "lacal train x --head cosine --head-option ": ("scale=30",),
    "lacal train x --second-stage crt --stage-option l": ("lr=0.1",),
    "lacal train x --schedule step:": ("60,80:0.1",),
    "lacal evaluate p --fail-if balanced_e": ("balanced_error",),
    "lacal evaluate p --fail-if=few.e": ("few.error",),
    "lacal evaluate p --fail-if 'few.error > 0.3 and mic": ("few.error > 0.3 and micro_error",),
    "lacal evaluate p --fail-if 'class.\"few": (),
    "lacal evaluate p --max-increase micro": ("micro_error=0.01", "micro_error=5%"),
    "lacal evaluate p --max-increase micro_error=5": ("5%",),
    "lacal evaluate p --groups qu": ("quantiles:3",),
    "lacal evaluate p --groups coun": FILES,
    "lacal evaluate p --target-prior ": ("uniform", "train"),
    "lacal evaluate p --counts ": FILES,
    "lacal evaluate ": FILES,
}


def test_what_bash_offers(program: Path) -> None:
    found = in_bash(program, list(OFFERED))
    assert dict(zip(OFFERED, map(tuple, found), strict=True)) == OFFERED


def test_a_tab_in_a_real_bash(program: Path) -> None:
    """Typed into a terminal, where readline puts the word in."""
    terminal, its_end = pty.openpty()
    bash = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=its_end, stdout=its_end, stderr=its_end, env=with_program(program),
        start_new_session=True,
    )  # fmt: skip
    try:
        os.write(terminal, b"PS1=; eval \"$(lacal completion bash)\"; echo rea''dy\n")
        assert b"ready" in until(terminal, b"ready")
        os.write(terminal, b"lacal tune-tau v --method=wei\t")
        assert b"--method=weight-norm" in until(terminal, b"--method=weight-norm")
    finally:
        bash.kill()
        bash.wait()
        os.close(terminal)
        os.close(its_end)


def until(terminal: int, awaited: bytes, seconds: float = 60) -> bytes:
    """What the terminal shows up to the text that is awaited."""
    shown, end = b"", time.monotonic() + seconds
    while awaited not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 1 << 16)
    return shown


@pytest.mark.parametrize(
    ("shell", "words", "current", "answer"),
    [
        ("zsh", "lacal tune-tau v --method wei", "4", "plain\nweight-norm\n_"),
        ("zsh", "lacal tune-tau v --method=wei", "3", "plain\n--method=weight-norm\n_"),
        ("zsh", "lacal evaluate p --groups qu", "4", "plain\nquantiles:3\n_"),
        ("zsh", "lacal evaluate p --counts ", "4", "file\n\n_"),
        ("fish", "lacal tune-tau v --method wei", "wei", "plain,weight-norm"),
        ("fish", "lacal tune-tau v --method=wei", "--method=wei", "plain,--method=weight-norm"),
        ("fish", "lacal train x --schedule step:", "step:", "plain,step:60,80:0.1"),
        ("fish", "lacal evaluate p --fail-if 'few.error > 1 and mic", "'few.error > 1 and mic",
         "plain,few.error > 1 and micro_error"),
    ],
)  # fmt: skip
def test_what_zsh_and_fish_are_answered(shell: str, words: str, current: str, answer: str) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": current, "_LACAL_COMPLETE": f"{shell}_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "lacal"],
        env={**os.environ, **asked}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == answer + "\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script(capfd: pytest.CaptureFixture[str], shell: str) -> None:
    assert lacal("completion", shell) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert f"_LACAL_COMPLETE={shell}_complete" in out
    # click's script for fish would cut `100,20` at its comma.
    assert ('string split --max 1 ","' in out) == (shell == "fish")


def test_an_unknown_shell_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert lacal("completion", "bsh") == 2
    assert "Did you mean 'bash'?" in capfd.readouterr().err


def test_the_script_is_printed_where_settings_are_broken(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.lacal\n")
    assert lacal("completion", "zsh") == 0
    assert "#compdef lacal" in capfd.readouterr().out


def test_the_names_of_measures_are_those_of_an_evaluation(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    measured = json_of(capfd, "evaluate", folder / "test.npz", "--calibration", calibration)
    assert set(metric_names()) <= set(measured["measures"])
    for name in metric_names():
        parse_gate(f"{name} > 0.5")


@pytest.mark.parametrize(
    "line",
    [
        "lacal ",
        "lacal tune-tau v --method ",
        "lacal train x --loss ",
        "lacal train x --loss ldam --loss-option ",
        "lacal evaluate p --fail-if ",
        "lacal evaluate p --max-increase ",
    ],
)
def test_completing_imports_no_library(tmp_path: Path, line: str) -> None:
    words = torn(line)
    asked = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, **asked, "_LACAL_COMPLETE": "bash_complete"},
    )  # fmt: skip
    code, *names = done.stderr.splitlines()[-1].split()
    assert code == "0"
    assert done.stdout.startswith("plain,")
    assert not set(names) & {"numpy", "pyarrow", "scipy", "rich", *HEAVY}

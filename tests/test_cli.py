"""The command line: help, choices, where option values come from, what is printed, what is imported."""

import ast
import json
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import click
import pytest

import lacal as package
from lacal.cli.commands import COMMANDS, command_named
from lacal.cli.options import METHOD_NAMES
from lacal.methods import BIAS_RULES, METHODS
from lacal.rows.scores import SCORE_KINDS
from lacal.tau.selection import RULES
from tests.small_world import json_of, lacal, refusal

ROOT = Path(package.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MOST_LINES = 360
HEAVY = ("torch", "onnxruntime", "onnx", "sklearn", "matplotlib")


# Help and choices


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(
    capfd: pytest.CaptureFixture[str], name: str
) -> None:
    for flag in ("--help", "-h"):
        assert lacal(name, flag) == 0
        out, err = capfd.readouterr()
        assert f"lacal {name} " in out.split("Example:")[1]
        assert err == ""
        assert all(len(line) <= 100 for line in out.splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name: str) -> None:
    for param in command_named(name).params:
        if isinstance(param, click.Option) and param.name not in ("draws", "seed"):
            assert param.help, param.name
            assert param.opts[-1].lstrip("-").replace("-", "_") == param.name


def test_the_group_lists_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert lacal("--help") == 0
    out = capfd.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)
    assert lacal("--version") == 0
    assert capfd.readouterr().out == f"lacal {package.__version__}\n"


def test_the_choices_are_those_of_the_tables() -> None:
    choices = {param.name: getattr(param.type, "choices", None)
               for param in command_named("tune-tau").params}  # fmt: skip
    assert choices["method"] == METHOD_NAMES == tuple(METHODS)
    assert choices["bias"] == BIAS_RULES
    assert choices["scores"] == SCORE_KINDS
    assert choices["select"] == RULES


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        (["tune"], "No such command 'tune'. Did you mean 'tune-tau'?"),
        (["ajust", "x"], "Did you mean 'adjust'?"),
        (["tune-tau", "x", "--method", "weight-nrm"], "Did you mean 'weight-norm'?"),
        (["tune-tau", "x", "--method", "\x1b[1m"], r"'\x1b[1m' is not one of logit-adjustment"),
        (["tune-tau", "x", "--coutns", "y"], "No such option '--coutns'"),
        (["tune-tau", "x", "--draws", "9"], "9 is not in the range"),
        (["tune-tau", "x", "--draws", "many"], "not a valid integer"),
        (["tune-tau"], "Missing argument 'VAL'"),
        (["tune-tau", "val.npz"], "training counts are needed; give --counts FILE"),
        (["tune-tau", "val.npz", "--counts", "counts.csv", "--method", "weight-norm"], "--head FILE"),
        (["tune-tau", "x", "--grid", "0:4"], "--grid: got '0:4', expected FIRST:LAST:STEP"),
        (["tune-tau", "x", "--grid", "4:0:1"], "FIRST < LAST"),
        (["tune-tau", "x", "--grid", "0:1:0"], "STEP > 0"),
        (["tune-tau", "x", "--grid", "0:nan:1"], "expected finite numbers"),
        (["tune-tau", "x", "--grid", "0:100:1"], "expected taus between -40 and 40"),
        (["tune-tau", "x", "--grid", "-30:30:1"], "--grid: spans 60, expected at most 40"),
        (["tune-tau", "x", "--grid", "0:1:1e-9"], "points, expected at most"),
        (["tune-tau", "x", "--grid", "0:1:1e-300"], "--grid: has 1e+300 points, expected at most"),
        (["adjust", "x"], "Missing option '-o' / '--out'"),
        (["adjust", "x", "-o", "p.parquet"], "say what to apply"),
        (["adjust", "x", "-o", "p.parquet", "--tau", "1", "--calibration", "y"], "say what to apply"),
        (["adjust", "x", "-o", "p.parquet", "--calibration", "y", "--counts", "z"], "leave --counts"),
        (["adjust", "test.npz", "-o", "p.parquet", "--tau", "1"], "training counts are needed"),
        (["adjust", "test.npz", "-o", "p.parquet", "--tau", "nan", "--counts", "counts.csv"],
         "--tau: got nan"),
        (["adjust", "test.npz", "-o", "p.parquet", "--tau", "9e5", "--counts", "counts.csv",
          "--method", "prior-division"], "a tau this large overflows"),
        (["evaluate", "x", "--calibration", "y", "--counts", "z"], "there is no such file"),
        (["inspect", "val.npz", "--logits-key", "logts"], "has no field 'logts' (--logits-key)"),
        (["tune-tau", "val.npz", "--counts", "counts.csv", "--head", "head.npz"],
         "--method logit-adjustment uses no head; leave --head out"),
        (["tune-tau", "val.npz", "--counts", "counts.csv", "--bias", "keep"], "leave --bias out"),
        (["adjust", "test.npz", "-o", "p.parquet", "--tau", "1", "--counts", "counts.csv",
          "--bias", "keep"], "leave --bias out"),
        (["tune-tau", "val.npz", "--counts", "counts.csv", "-o", "-"], "not supported; name a file"),
        (["evaluate", "val.npz", "--zero-count", "x"], "--zero-count: got"),
        (["inspect", "val.npz", "--zero-count", "x", "--counts", "counts.csv"], "--zero-count: got"),
    ],
)  # fmt: skip
def test_bad_usage(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    line: list[str],
    fragment: str,
) -> None:
    monkeypatch.chdir(folder)
    assert fragment in refusal(capfd, *line)
    assert not (folder / "p.parquet").exists()


def test_debug_shows_the_trace(folder: Path) -> None:
    done = fresh(folder, "--debug", "inspect", "none.npz")
    assert "Traceback" in done.stderr
    assert done.returncode == 2  # not Python's own 1, which says that a gate failed


def test_a_fault_of_its_own_is_no_failed_gate(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise KeyError("balanced_error")

    monkeypatch.setattr("lacal.pipeline.inspect", broken)
    sentence = refusal(capfd, "inspect", folder / "val.npz", code=3)
    assert "a fault of its own (KeyError: 'balanced_error', test_cli.py line" in sentence
    assert "--debug" in sentence


# Where option values come from


def selected(capfd: pytest.CaptureFixture[str], *before: str, more: tuple[str, ...] = ()) -> str:
    line = ("tune-tau", "val.npz", "--counts", "counts.csv", "--draws", "10")
    return str(json_of(capfd, *before, *line, *more)["select"])


def test_command_line_before_environment_before_file_before_project(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert selected(capfd) == "shrunk"
    (folder / "pyproject.toml").write_text("[tool.lacal.tune-tau]\nselect = 'min'\n")
    assert selected(capfd) == "min"
    (folder / "own.toml").write_text("[tune-tau]\nselect = 'smoothed'\n")
    assert selected(capfd, "--config", "own.toml") == "smoothed"
    monkeypatch.setenv("LACAL_TUNE_TAU_SELECT", "min")
    assert selected(capfd, "--config", "own.toml") == "min"
    assert selected(capfd, "--config", "own.toml", more=("--select", "shrunk")) == "shrunk"
    monkeypatch.setenv("LACAL_TUNE_TAU_SELECT", "best")
    assert "'best' is not one of" in refusal(capfd, "tune-tau", "val.npz", "--counts", "counts.csv")


@pytest.mark.parametrize("name", COMMANDS)
def test_values_of_one_variable_are_lines_of_it(name: str) -> None:
    """Names and paths hold blanks, at which click would split them."""
    for param in command_named(name).params:
        if param.multiple:
            assert param.type.split_envvar_value("a b\nc=d e\n") == ["a b", "c=d e"], param.name


def test_paths_and_hyphens_in_a_file(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    text = (
        "[adjust]\ncounts = 'counts.csv'\ntau = 1\nout = 'p.parquet'\ntop-k = 2\nformat = 'json'\n"
    )
    (folder / "own.toml").write_text(text)
    assert lacal("--config", "own.toml", "adjust", "test.npz") == 0
    assert json.loads(capfd.readouterr().out)["output"] == "p.parquet"


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("[tune-tau]\nselct = 'min'\n", "'selct' is no option of tune-tau. Did you mean 'select'?"),
        ("[tune-tao]\n", "'tune-tao' is no command"),
        ("select = 'min'\n", "'select' is no command"),
        ("[tune-tau\n", "is not TOML"),
        ("[tune-tau]\nselect = 'best'\n", "'best' is not one of"),
        ("tune-tau = 3\n", "must be a table of options"),
        ("[tune-tau]\ndraws = 20.7\n", "'20.7' is not a valid integer"),
        ("[tune-tau]\ndraws = true\n", "'True' is not a valid integer"),
        ("[tune-tau]\ngrid = [0, 4]\n", "option 'grid' of tune-tau is a list; expected text"),
        ("[tune-tau]\nseed = 2026-01-01\n", "option 'seed' of tune-tau is a date; expected text"),
        (
            "[tune-tau]\nplots = true\n",
            "option 'plots' of tune-tau is a bool; expected the path of a",
        ),
        (
            "[tune-tau]\nreport = [['a.md']]\n",
            "holds a list; expected text, a number, true or false, or a list",
        ),
        ("[tune-tau]\nzero-count = 'mask'\nzero_count = 'mask'\n", "given in two spellings"),
        ("x = " + "[" * 9000, "is nested too deeply"),
    ],
)
def test_bad_files(
    folder: Path, capfd: pytest.CaptureFixture[str], text: str, fragment: str
) -> None:
    (folder / "own.toml").write_text(text)
    line = ("tune-tau", folder / "val.npz", "--counts", folder / "counts.csv")
    assert fragment in refusal(capfd, "--config", folder / "own.toml", *line)


def test_a_missing_file(capfd: pytest.CaptureFixture[str]) -> None:
    assert "there is no such file" in refusal(capfd, "--config", "none.toml", "inspect", "x")


def test_a_config_that_is_no_regular_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(folder / "pipe")
    for path in (folder / "pipe", "/dev/zero"):
        assert "is not a regular file" in refusal(capfd, "--config", path, "inspect", "x")


def test_the_config_is_never_overwritten(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "own.toml").write_text("[tune-tau]\nforce = true\n")
    line = ("tune-tau", folder / "val.npz", "--counts", folder / "counts.csv")
    config = ("--config", folder / "own.toml")
    assert "is also an input" in refusal(capfd, *config, *line, "-o", folder / "own.toml")


# What is printed


@pytest.mark.parametrize("output_format", ["json", "text"])
def test_stdout_carries_the_result_alone(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    output_format: str,
) -> None:
    monkeypatch.chdir(folder)
    for line in (
        ("inspect", "val.npz", "--counts", "counts.csv"),
        ("tune-tau", "val.npz", "--counts", "counts.csv", "-o", "c.json"),
        ("adjust", "test.npz", "--calibration", "c.json", "-o", "p.parquet"),
        ("evaluate", "p.parquet", "--counts", "counts.csv"),
        ("evaluate", "test.npz", "--calibration", "c.json"),
    ):
        assert lacal(*line, "--format", output_format) == 0
        out, err = capfd.readouterr()
        assert err == ("wrote c.json\n" if line[0] == "tune-tau" else "")
        assert "\x1b" not in out
        if output_format == "json":
            assert json.loads(out)["command"] == line[0]
        else:
            assert "error" in out


def test_text_from_files_cannot_steer_the_terminal(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b[31mred[bold]\u202e"
    rows = f"class,count\n{evil},500\ndog,120\nemu,60\nfox,25\ngnu,6\n"
    (folder / "evil.csv").write_text(rows)
    line = ("evaluate", folder / "val.npz", "--counts", folder / "evil.csv")
    assert lacal(*line) == 0
    out = capfd.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert r"\x1b[31mred[bold]" in out


# Start-up, each in a fresh process


def fresh(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lacal", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


WATCHED = """
import sys
from lacal.cli.main import run
code = run(sys.argv[1:])
print(code, *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def imported(folder: Path, *arguments: str) -> set[str]:
    """Top-level modules that a command line leaves behind."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments],
        cwd=folder, capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    code, *names = done.stderr.splitlines()[-1].split()
    assert code == "0", done.stderr
    return set(names)


@pytest.mark.parametrize(
    "line", [["--help"], ["tune-tau", "--help"], ["adjust", "--help"], ["train", "--help"]]
)
def test_help_imports_no_numpy(tmp_path: Path, line: list[str]) -> None:
    assert not imported(tmp_path, *line) & {"numpy", "pyarrow", "scipy", "rich", *HEAVY}


def test_the_logits_path_imports_nothing_heavy(folder: Path) -> None:
    tuned = imported(folder, "tune-tau", "val.npz", "--counts", "counts.csv", "-o", "c.json")
    assert not tuned & {"pyarrow", "scipy", "pandas", *HEAVY}
    adjusted = imported(folder, "adjust", "test.npz", "--calibration", "c.json", "-o", "p.parquet")
    assert not adjusted & set(HEAVY)


# How the package is built


def floor(module: str) -> int:
    """Imports may lead to the same floor or down."""
    parts = module.split(".")
    if module in ("lacal", "lacal.errors"):
        return 0
    floors = {"formats": 1, "pipeline": 3, "training": 3, "report": 4, "cli": 5, "__main__": 5}
    return floors.get(parts[1], 2)


def module_of(path: Path) -> str:
    parts = ("lacal", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.AST, *, inside_functions: bool) -> set[str]:
    """Modules of lacal that a file imports, other than for types alone."""
    found: set[str] = set()
    stack = list(ast.iter_child_nodes(tree))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.FunctionDef) and not inside_functions:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lacal"):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {one for one in inner if one in MODULES}
            found |= modules or {str(node.module)}
        stack.extend(ast.iter_child_nodes(node))
    return found


MODULES = {module_of(path) for path in FILES}
TREES = {module_of(path): ast.parse(path.read_text()) for path in FILES}
WHOLE = ("lacal.metrics.", "lacal.fits.")  # packages of arithmetic alone
ARITHMETIC = ("adjustment", "methods", "tau.intervals", "tau.path", "tau.strata", "tau.selection",
              "tau.resampling", "rows.fingerprint", "classes.prior", "probabilities", "ranks", "report.page.slider",
              *(name.removeprefix("lacal.") for name in sorted(MODULES) if name.startswith(WHOLE)))  # fmt: skip


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_lead_downwards(module: str) -> None:
    for other in imports_of(TREES[module], inside_functions=True):
        assert floor(other) <= floor(module), f"{module} imports {other}"


def test_imports_form_no_knot() -> None:
    edges = {name: imports_of(tree, inside_functions=False) for name, tree in TREES.items()}
    # A package's __init__ gathers its own files; they do not look back at it.
    TopologicalSorter({name: others - {name} for name, others in edges.items()}).prepare()


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_sees_arrays_only(name: str) -> None:
    tree = TREES[f"lacal.{name}"]
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
             for alias in node.names}  # fmt: skip
    named = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    outer = {"pathlib", "click", "time", "datetime", "random", "json", "io", "lacal.atomic"}
    assert not (plain | named) & outer
    assert not any(one.startswith(("lacal.formats", "lacal.cli")) for one in named)
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & {"print", "open", "np.random.seed", "np.random.normal"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_grows_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES

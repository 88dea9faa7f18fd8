"""How results leave: kinds of reports, targets that are refused early, golden files, exit codes, hostile text."""

import errno
import io
import os
import re
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest

from lacal.cli.outputs import deliver, rendered_text, report_options
from lacal.cli.targets import check_reports, wants_page
from lacal.errors import MissingExtra, RunError, UsageError
from lacal.gates.verdict import Verdict
from lacal.report.deliver import blocks_of
from lacal.report.document import Strong, Table
from lacal.report.page.content import Chart, Page, Section
from lacal.report.result import Result
from tests.golden_files import VERDICTS

ROOT = Path(__file__).parent.parent
needs_plots = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs lacal[plots]")


def drawn() -> Any:
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot().plot([0, 1])
    return figure


PAGE = Page(
    "evaluate x", "It is better.", ("beware",),
    (Section("Curve", (Chart("curve", "the curve", "a line", drawn), "text")),), (("file", "x"),),
)  # fmt: skip


def result(*verdicts: Verdict, page: bool = True) -> Result:
    return Result(
        "evaluate",
        json=lambda: {"answer": 1},
        blocks=lambda: ["the answer", Table(("a", "b"), (("1", "2"),))],
        warnings=("beware",),
        verdicts=verdicts,
        page=(lambda: PAGE) if page else None,
    )


def run(*arguments: str, shown: Result | None = None, prefix: str | None = None) -> int:
    """The exit code of a command that has nothing to do but to deliver."""

    @click.command()
    @click.option("--force", is_flag=True)
    @click.option("--out", type=click.Path(path_type=Path))
    @click.option("--exit-zero", is_flag=True)
    @report_options
    def command(**given: Any) -> None:
        check_reports(given, (Path("in.npz"),))
        assert wants_page(given) == any("html" in one or "--plots" in one for one in arguments)
        deliver(shown or result(), given)

    return int(command.main(list(arguments), standalone_mode=False, auto_envvar_prefix=prefix) or 0)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.npz").touch()
    return tmp_path


# Reports


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("r.json", '{"answer": 1}'),
        ("r.md", "## lacal evaluate"),
        ("R.MARKDOWN", "## lacal evaluate"),
        ("r.xml", "<?xml"),
        ("r.txt", "the answer\n"),
        ("junit=r", "<?xml"),
        ("github=log", "::notice title=lacal evaluate::the answer\n::warning"),
        ("text=r.md", "the answer\n"),
        ("json=a=b", '{"answer": 1}'),
        ("./md=r.json", '{"answer": 1}'),
        ("a b=c.md", "## lacal evaluate"),
    ],
)
def test_the_kind_of_a_report(
    folder: Path, capfd: pytest.CaptureFixture[str], text: str, start: str
) -> None:
    (folder / "md=r.json").unlink(missing_ok=True)
    assert run("--report", text) == 0
    written = next(path for path in folder.iterdir() if path.name != "in.npz")
    assert written.read_text().startswith(start)
    out, err = capfd.readouterr()
    assert out.startswith("the answer\n")
    assert re.fullmatch(
        rf"warning: beware\nwrote (\./)?{re.escape(written.name)}\n", err.replace("./", "")
    )


def test_several_reports_at_once_beside_stdout(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (
        run("--format", "github", "--report", "a.json", "--report", "b.xml", "--report", "md=c")
        == 0
    )
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "b.xml", "c", "in.npz"]
    assert capfd.readouterr().out.startswith("::notice")


def test_json_is_short_for_format_json(capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (("--json",), ("--format", "json")):
        assert run(*arguments) == 0
        assert capfd.readouterr().out == '{"answer": 1}\n'


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--report", "r"), "'r' does not say its kind; end it in .html"),
        (("--report", "r.pdf"), "'r.pdf' does not say its kind"),
        (("--report", "junt=r.xml"), "'junt' is no kind of report"),
        (("--report", "junt=r.xml"), "(a file of this name is './junt=r.xml'). Did you mean 'junit'?"),
        (("--report", "MD=r"), "'MD' is no kind of report"),
        (("--report", "md="), "names no file; give --report md=FILE"),
        (("--report", "none/r.md"), "folder none does not exist"),
        (("--report", "md=-"), "writing to stdout is not supported"),
        (("--report", "md=in.npz", "--force"), "is also an input"),
        (("--report", "taken.md"), "exists already; add --force"),
        (("--report", "r.md", "--report", "md=./r.md"), "another --report writes to the same file"),
        (("--out", "r.md", "--report", "r.md"), "-o writes to the same file"),
        (("--report", ""), "'' does not say its kind"),
        (("--plots", "in.npz"), "is not a folder"),
        (("--plots", "p", "--report", "md=charts/errors.svg", "--plots", "charts", "--force"), "--plots charts: --report writes errors.svg there"),
        (("--plots", "empty", "--report", "json=empty/errors.PNG"), "where charts are written; name another folder"),
        (("--plots", "empty", "--out", "./empty/../empty/curve.png"), "--plots empty: -o writes curve.png there"),
        (("--plots", "p", "--report", "md=p"), "--plots p: --report writes to the same path"),
        (("--out", "./p", "--plots", "p"), "--plots p: -o writes to the same path"),
        (("--plots", "p", "--report", "md=p/x.md"), "folder p does not exist"),
        (("--plots", "p/q", "--report", "md=p"), "folder p does not exist"),
        (("--plots", "none/plots"), "folder none does not exist"),
        (("--plots", "charts"), "holds curve.svg already; add --force"),
    ],
)  # fmt: skip
def test_reports_that_cannot_be_written(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], fragment: str
) -> None:
    (folder / "taken.md").touch()
    (folder / "charts").mkdir()
    (folder / "empty").mkdir()
    (folder / "charts" / "curve.svg").touch()
    before = sorted(folder.rglob("*"))
    with pytest.raises(UsageError) as caught:
        run(*arguments)
    assert fragment in str(caught.value)
    assert sorted(folder.rglob("*")) == before
    assert capfd.readouterr() == ("", "")


def test_force_replaces(folder: Path) -> None:
    (folder / "r.md").write_text("old")
    assert run("--report", "r.md", "--force") == 0
    assert (folder / "r.md").read_text().startswith("## lacal")


def test_a_kind_that_is_misspelt_on_stdout_is_refused() -> None:
    with pytest.raises(click.BadParameter, match=r"'junt' is not one of .* Did you mean 'junit'"):
        run("--format", "junt")


def test_an_empty_path_is_not_the_working_folder() -> None:
    with pytest.raises(click.BadParameter, match="names no path"):
        run("--plots", "")


def test_the_environment_gives_a_report_a_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LACAL_REPORT", "a b.md\n\n json=c d.json \n")
    assert run(prefix="LACAL") == 0
    assert {path.name for path in folder.iterdir()} == {"in.npz", "a b.md", "c d.json"}


# Charts


def test_charts_need_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lacal.cli.targets.find_spec", lambda name: None)
    for arguments in (("--report", "r.html"), ("--plots", "plots")):
        with pytest.raises(MissingExtra, match=r"drawing charts needs matplotlib.*lacal\[plots\]"):
            run(*arguments)
    assert run("--report", "r.md") == 0


@needs_plots
def test_a_page_holds_its_gates_and_charts(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--report", "r.html", "--plots", "plots", shown=result(VERDICTS[1])) == 1
    page = (folder / "r.html").read_text()
    assert "<svg" in page
    assert "cannot be judged" not in page
    assert page.index("It is better.") < page.index("1 gate. class") < page.index("beware")
    assert page.index("beware") < page.index("Gates") < page.index("Curve")
    assert "1 gate failed." in page
    assert "62.73 % is above 60.00 %" in " ".join(page.split())  # spaces there do not break
    assert {path.name for path in (folder / "plots").iterdir()} == {"curve.svg", "curve.png"}
    assert "wrote 2 files in plots" in capfd.readouterr().err
    with pytest.raises(UsageError, match="holds curve"):
        run("--plots", "plots")
    assert run("--plots", "plots", "--force") == 0


@needs_plots
def test_a_command_without_charts_says_so() -> None:
    with pytest.raises(UsageError, match="lacal evaluate has no charts for what it was given"):
        run("--plots", "plots", shown=result(page=False))


@needs_plots
def test_a_page_whose_gates_pass_warns_of_none(folder: Path) -> None:
    assert run("--report", "r.html", shown=result(VERDICTS[0])) == 0
    page = (folder / "r.html").read_text()
    assert "1 gate passed." in page
    assert ">FAILED<" not in page


# Gates and exit codes


def test_the_first_line_says_how_many_gates_failed(capfd: pytest.CaptureFixture[str]) -> None:
    """Below the tables of a job's log, verdicts are easily missed."""
    passed, failed, other = VERDICTS
    for verdicts, line in (
        ((passed,), "1 gate passed, see the end"),
        ((passed, passed), "2 gates passed, see the end"),
        ((failed,), "1 gate failed, see the end"),
        ((passed, failed, other), "2 of 3 gates failed, see the end"),
    ):
        run(shown=result(*verdicts))
        assert capfd.readouterr().out.startswith(f"{line}\nthe answer\n")
    assert isinstance(blocks_of(result(passed, failed))[0], Strong)
    assert not isinstance(blocks_of(result(passed))[0], Strong)


@pytest.mark.parametrize("output_format", ["text", "json", "md", "junit", "github"])
def test_a_failed_gate_ends_with_one_in_every_format(
    capfd: pytest.CaptureFixture[str], output_format: str
) -> None:
    passed, failed, _ = VERDICTS
    for verdicts, extra, code in (
        ((passed,), (), 0),
        ((passed, failed), (), 1),
        ((failed, passed), (), 1),
        ((passed, failed), ("--exit-zero",), 0),
    ):
        assert run("--format", output_format, *extra, shown=result(*verdicts)) == code
        out = capfd.readouterr().out
        if output_format != "json":  # which the command makes, verdicts and all
            assert ("62.73" in out) is (failed in verdicts)


def test_a_report_is_written_though_a_gate_fails(folder: Path) -> None:
    assert run("--report", "r.xml", shown=result(VERDICTS[1])) == 1
    assert ElementTree.parse(folder / "r.xml").getroot().get("failures") == "1"


def test_errors_of_writing_are_the_runs(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What appears between the check and the end is not replaced."""

    def appears() -> list[Any]:
        (folder / "r.md").write_text("mine")
        return ["the answer"]

    late = Result("evaluate", json=dict, blocks=appears)
    with pytest.raises(RunError, match=r"r\.md: exists already; add --force"):
        run("--report", "r.md", shown=late)
    assert (folder / "r.md").read_text() == "mine"
    assert capfd.readouterr().out == "the answer\n"


@pytest.mark.parametrize("extra", [(), ("--exit-zero",)])
def test_a_report_that_is_lost_costs_no_other(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    extra: tuple[str, ...],
) -> None:
    """A full disk: the result and the verdicts are said, the other reports written, and 3 comes before 1."""
    fsync = os.fsync

    def full(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name.startswith(".lost"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    targets = ("a.json", "lost.md", "lost.xml", "b.txt")
    lines = [one for target in targets for one in ("--report", target)]
    with pytest.raises(RunError) as caught:
        run(*lines, *extra, shown=result(VERDICTS[1]))
    assert str(caught.value) == (
        "lost.md: could not be written (No space left on device); lost.xml: could not be written (No space left on "
        "device); the result above is whole, and so is every file said to be written"
    )
    out, err = capfd.readouterr()
    assert "gate FAILED" in out
    assert err.splitlines() == ["warning: beware", "wrote a.json", "wrote b.txt"]
    assert {path.name for path in folder.iterdir()} == {"in.npz", "a.json", "b.txt"}


@needs_plots
def test_a_page_that_the_system_cannot_make_is_lost_alone(folder: Path) -> None:
    def fails() -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    broken = Result("evaluate", json=dict, blocks=list, page=fails)
    with pytest.raises(RunError, match=r"^r\.html: could not be written \(Input/output error\); "):
        run("--report", "r.html", "--report", "r.md", shown=broken)
    assert sorted(path.name for path in folder.iterdir()) == ["in.npz", "r.md"]


def test_a_folder_of_charts_that_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(UsageError, match="--plots p: cannot be written to; choose another"):
        run("--plots", "p")


def test_a_file_is_what_a_plain_terminal_shows() -> None:
    stream = io.StringIO()
    from lacal.cli.show import show_text

    show_text(result().blocks(), stream)
    assert rendered_text(result(), "text").split() == stream.getvalue().split()
    assert not any(line.endswith(" ") for line in rendered_text(result(), "text").splitlines())

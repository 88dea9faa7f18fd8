"""Results whose renderings are kept under tests/golden; `python -m tests.golden_files` writes them anew."""

from pathlib import Path

from lacal.cli.outputs import rendered_text
from lacal.gates.verdict import Verdict
from lacal.report.document import Table
from lacal.report.result import Result

GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = {"md": ".md", "junit": ".xml", "github": ".github", "text": ".txt", "json": ".json"}

VERDICTS = (
    Verdict(
        "balanced_error > 35%",
        True,
        "balanced_error 12.67 %, 95 % interval 11.30 to 14.10 %, n 2,020",
        "12.67 % is not above 35.00 %",
    ),
    Verdict(
        'class."a|b, <i>:\n`c`".error > 0.6',
        False,
        'class."a|b, <i>:\\n`c`".error 62.73 %, 95 % interval 57.10 to 68.02 %, n 120',
        "62.73 % is above 60.00 %",
    ),
    Verdict("few.error > 50%", False, "few.error n/a",
            "cannot be judged, so it fails: 'few.error' is undefined (no labelled row)"),
)  # fmt: skip

TABLE = Table(
    ("%", "unadjusted", "adjusted", "n"),
    (
        ("balanced error", "18.4 (17.1 to 19.9)", "12.7 (11.3 to 14.1)", "2,020"),
        ("  few (< 20 training)", "62.7", "n/a", "0"),
        ("a|b <script> *c* `d` @team #1 \\x1b[31m", "::error::x", "##[error]y", "1"),
    ),
    "val [bold].npz",
)


def results() -> dict[str, Result]:
    """By the name of their files: gates of which some fail, gates that pass, and none."""

    def result(verdicts: tuple[Verdict, ...], warnings: tuple[str, ...]) -> Result:
        return Result(
            "evaluate",
            json=lambda: {"verdicts": [one.json() for one in verdicts], "warnings": list(warnings)},
            blocks=lambda: ["balanced error 12.7 % on 2,020 rows: 100 % sure, see *p < 0.05*", TABLE,
                            "- 1 of 101 classes has no row and does not count: <b>"],
            warnings=warnings,
            verdicts=verdicts,
        )  # fmt: skip

    return {
        "failed": result(VERDICTS, ("the baseline was measured on other rows: 5 %, so beware",)),
        "passed": result(VERDICTS[:1], ()),
        "ungated": result((), ("::error::stop%0A",)),
    }


def renderings() -> dict[Path, str]:
    """File -> what belongs in it."""
    return {
        GOLDEN / f"{name}{suffix}": rendered_text(result, kind)
        for name, result in results().items()
        for kind, suffix in SUFFIXES.items()
    }


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for path, text in renderings().items():
        path.write_text(text, encoding="utf-8")

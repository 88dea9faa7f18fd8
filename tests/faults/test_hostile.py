"""Names that a problem may have and nobody wishes for; tests/soak/hostile.py says what is promised of each."""

import math

import pytest

pytest.importorskip("matplotlib", exc_type=ImportError)

from tests.soak import hostile
from tests.soak.captured import Said
from tests.soak.findings import Findings

# TeX that cannot be set, markup of rich, the end of a script, a command of GitHub; a NUL, a surrogate, a tab.
WORST = ("$\\frac{$[/]</script>\n::error::x", "\0", "\ud800", "a\tb")


def test_the_worst_names_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile, "NAMES", WORST)
    found = hostile.soak(len(WORST), 0, math.inf)
    assert not found.faults, "\n".join(found.faults)
    assert found.rounds == len(WORST)
    assert found.figures == {"refused": 2, "shown": 2}


@pytest.mark.parametrize(
    ("judge", "text", "told"),
    [
        (hostile._of_markdown, "| a |\n| b | c |\n", "a row of a Markdown table"),
        (hostile._of_markdown, "a <b>b</b>", "holds an element"),
        (hostile._of_annotations, "::stop-commands::x", "GitHub gets a command"),
        (hostile._of_junit, "<testsuites><script/></testsuites>", "JUnit holds an element"),
        (lambda said: hostile._of_terminal("inspect", said), "\x1b[31m", "to the terminal"),
        (lambda said: hostile._of_json(said, "a"), '{"a": "b"}\n', ""),
        (lambda said: hostile._of_json(said, "c"), '{"a": "b"}\n', "stands otherwise in JSON"),
    ],
)
def test_a_name_that_is_obeyed_is_seen(judge: hostile.Judge, text: str, told: str) -> None:
    found = list(judge(Said(0, text, "")))
    assert bool(found) == bool(told)
    assert told in "".join(found)


def test_time_ends_it() -> None:
    assert hostile.soak(5, 0, -math.inf) == Findings()

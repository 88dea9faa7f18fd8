"""A result as JUnit XML, which GitLab, Jenkins and others show as tests: one testcase a gate.

Elements and their order are those of the schema that Jenkins publishes. No times: same result, same bytes.
"""

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from lacal.formats.shown import printable
from lacal.report.result import Result

if TYPE_CHECKING:
    from lacal.gates.verdict import Verdict


def junit(result: Result) -> str:
    """One suite of the command's name; where there are no gates, one testcase that the run ended well."""
    cases = [_case(one, result.command) for one in result.verdicts]
    failed = sum(not one.passed for one in result.verdicts)
    if not cases:
        cases = [
            f'    <testcase classname={_attribute(f"lacal.{result.command}")} name="completed"/>'
        ]
    counts = f'tests="{len(cases)}" failures="{failed}" errors="0"'
    suite = f'  <testsuite name={_attribute("lacal " + result.command)} {counts} skipped="0">'
    lines = [f"warning: {one}" for one in result.warnings]
    lines += [one for one in result.blocks() if isinstance(one, str)]
    return "\n".join([
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites {counts}>",
        suite,
        *cases,
        f"    <system-out>{_text(chr(10).join(lines))}</system-out>",
        "  </testsuite>",
        "</testsuites>",
        "",
    ])  # fmt: skip


def _case(verdict: "Verdict", command: str) -> str:
    name = f"classname={_attribute(f'lacal.{command}')} name={_attribute(verdict.shown)}"
    start = f"    <testcase {name}>"
    failure = f'      <failure type="gate" message={_attribute(verdict.reason)}>{_text(verdict.found)}</failure>'
    out = f"      <system-out>{_text(f'{verdict.reason} ({verdict.found})')}</system-out>"
    return "\n".join([start, *([] if verdict.passed else [failure]), out, "    </testcase>"])


def _attribute(text: str) -> str:
    """Quoted; characters that XML cannot hold are escaped as they are on a terminal."""
    return quoteattr(printable(text, len(text)))


def _text(text: str) -> str:
    return escape("\n".join(printable(line, len(line)) for line in text.split("\n")))

"""A result as Markdown of GitHub and GitLab, for a pull request or a job's summary.

Everything shown may come from a file, so every character that Markdown, its tables, HTML, mentions (@somebody), issue
numbers (#1) or bare links would take for their own is escaped.
"""

import re

from lacal.formats.shown import printable
from lacal.report.document import Block, Strong, Table
from lacal.report.result import Result, verdict_summary, verdict_table

# Characters with a meaning anywhere in a line. A backslash in front of them takes it away.
_SPECIAL = re.compile(r"([\\`*_\[\]{}|~$!^])")
# At the start of a line: lists, headings, rules; a number is a list by the sign behind it.
_START = re.compile(r"^(\d{0,9})([-+=#.)])")
_BREAK = "&#8203;"  # of no width, so that what follows is no mention, issue or link


def markdown(result: Result) -> str:
    """A heading, the verdicts, the warnings, then the lines and tables that a terminal shows."""
    parts = [f"## lacal {result.command}"]
    if result.verdicts:
        failed = any(not one.passed for one in result.verdicts)
        summary = verdict_summary(result.verdicts)
        parts.append(f"**{summary}**" if failed else summary)
        parts.append(_table(verdict_table(result.verdicts), others=":--"))
    parts += [f"> **Warning:** {escaped(one)}" for one in result.warnings]
    parts += [_block(one) for one in result.blocks()]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    r"""The text so that Markdown shows it letter for letter.

    Example:
        >>> escaped("a|b <i> @you #1")
        'a\\|b &lt;i&gt; @&#8203;you #&#8203;1'
    """
    text = "".join(c if c.isprintable() else printable(c) for c in text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _SPECIAL.sub(r"\\\1", text)
    text = re.sub(r"([@#])(?=\w)", rf"\1{_BREAK}", text)
    return re.sub(r"(?i)(:(?=//)|www(?=\.))", rf"\1{_BREAK}", text)


def _block(block: Block) -> str:
    if isinstance(block, str):
        return _START.sub(r"\1\\\2", escaped(block.strip()))
    return _table(block)


def _table(table: Table, others: str = "--:") -> str:
    """The table; columns behind the first are aligned as `others` says, right for numbers."""
    title = escaped((table.title or "").strip())
    lines = [f"**{title}**", ""] if title else []
    lines.append(_row(table.columns))
    lines.append("| " + " | ".join([":--", *[others] * (len(table.columns) - 1)]) + " |")
    return "\n".join([*lines, *(_row(row) for row in table.rows)])


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    indent = len(text) - len(text.lstrip(" "))
    plain = "&nbsp;" * indent + escaped(text.strip(" "))
    return f"**{plain}**" if isinstance(text, Strong) else plain

"""A result for the log of a GitHub Actions job: workflow commands that become annotations, then the text.

GitHub reads a line that begins with `::`, or that holds `##[`, as a command, whoever wrote it: a class name could give
one. Neither is left in the text.
"""

import re

from lacal.formats.shown import printable
from lacal.report.result import Result


def github(result: Result, text: str) -> str:
    """Annotations of the verdicts and warnings, or a notice of the answer where there are no gates; then the text.

    Args:
        result: What a command found.
        text: Its blocks, as a terminal without colour would show them.
    """
    lines = [
        _command("notice" if one.passed else "error",
                 f"lacal gate {one.became}", f"{one.shown}: {one.reason} ({one.found})")
        for one in result.verdicts
    ]  # fmt: skip
    if not lines:
        answer = next((one for one in result.blocks() if isinstance(one, str)), "completed")
        lines.append(_command("notice", f"lacal {result.command}", answer))
    lines += [_command("warning", f"lacal {result.command}", one) for one in result.warnings]
    return "\n".join([*lines, _without_commands(text)])


def _command(level: str, title: str, message: str) -> str:
    """An annotation; the titles are ours and need no escaping."""
    return f"::{level} title={title}::{_data(message)}"


def _data(text: str) -> str:
    r"""Escaped as the runner's own toolkit does.

    Example:
        >>> _data("100% sure")
        '100%25 sure'
    """
    shown = printable(text, len(text)).replace("%", "%25")
    return _without_commands(shown)


def _without_commands(text: str) -> str:
    r"""The text with a space in everything that could begin a command.

    Example:
        >>> _without_commands("::error::x\n##[error]y")
        ': :error: :x\n## [error]y'
    """
    return re.sub(r":(?=:)", ": ", text).replace("##[", "## [")

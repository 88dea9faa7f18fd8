"""Kinds of option values that click lacks."""

import os
from pathlib import Path
from typing import Any

import click


class Line(click.ParamType[str]):
    """Text of an option that may be given again; in the environment, where one variable holds all of them, one a line.

    Expressions and paths hold blanks, at which click would split.
    """

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is."""
        return str(value)

    def split_envvar_value(self, rv: str) -> list[str]:
        """The lines that hold something."""
        return [line.strip() for line in rv.splitlines() if line.strip()]


class NamedPath(click.Path):
    """A path that was named: '' would stand for the folder lacal runs in."""

    def __init__(self) -> None:
        """Of a file or folder that need not exist."""
        super().__init__(path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The path."""
        if not os.fspath(value):
            self.fail("names no path; give one", param, ctx)
        return super().convert(value, param, ctx)


LINE = Line()

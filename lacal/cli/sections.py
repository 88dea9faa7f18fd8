"""Help pages in sections: a command that takes a model has too many options for one list."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Sectioned(click.Command):
    """A command whose options are listed under the headings that `section` gave them."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options without a heading first."""
        listed: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                listed.setdefault(getattr(param, "section", "Options"), []).append(record)
        for heading, records in listed.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def section(heading: str, *options: Callable[[F], F]) -> Callable[[F], F]:
    """The options, in this order, under one heading."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
            # click keeps the parameters of a callback that is no command yet in this list.
            command.__click_params__[-1].section = heading  # type: ignore[attr-defined]
        return command

    return decorate

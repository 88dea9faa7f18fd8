"""`lacal env`: what a bug report needs."""

import contextlib
from pathlib import Path
from typing import Any

import click

from lacal.cli.commands import COMMANDS, command_named
from lacal.cli.config import PROJECT, defaults
from lacal.cli.options import format_options
from lacal.cli.sections import Sectioned
from lacal.errors import LacalError


@click.command("env", cls=Sectioned)
@format_options("text", "json")
def command(**given: Any) -> None:
    """Print versions, machine, runtimes and settings: what a bug report needs.

    torch and onnxruntime are tried in a process of their own, so this works where one of them is broken.

    \b
    Example:
      lacal env --json
    """
    from lacal.cli.show import show_json
    from lacal.environment import environment
    from lacal.report.environment import environment_json, environment_text

    found, settings = environment(variables()), settings_found()
    if given["json"] or given["format"] == "json":
        show_json(environment_json(found, settings))
        return
    for line in environment_text(found, settings):
        click.echo(line)


# Settings may be what is broken: no variable of the environment stands in the way of their being shown.
for _option in (one for one in command.params if isinstance(one, click.Option)):
    _option.allow_from_autoenv = False


def variables() -> list[str]:
    """Every environment variable that sets an option, as click forms their names."""
    root = click.get_current_context().find_root()
    found = [_variable("LACAL", param) for param in root.command.params]
    for name in COMMANDS:
        prefix = f"LACAL_{name.replace('-', '_').upper()}"
        with contextlib.suppress(ImportError):  # a broken installation is what this is to show
            found += [_variable(prefix, param) for param in command_named(name).params]
    return [name for name in found if name]


def _variable(prefix: str, param: click.Parameter) -> str:
    if not isinstance(param, click.Option) or not param.name or not param.allow_from_autoenv:
        return ""
    return f"{prefix}_{param.name.upper()}"


def settings_found() -> dict[str, str | None]:
    """The file that option values come from, with what is wrong with it; none where there is no such file."""
    config = click.get_current_context().find_root().params.get("config")
    place = f"{PROJECT.resolve()} [tool.lacal]" if config is None else str(Path(config).resolve())
    try:
        said = defaults(config)
    except LacalError as error:
        return {place: str(error)}
    return {place: None} if said or config is not None else {}

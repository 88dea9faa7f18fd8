"""Where a bad value came from that nobody typed: the environment or a file of settings."""

import click
from click.core import ParameterSource

from lacal.cli.config import FOUND


def name_origin(error: click.ClickException) -> None:
    """Name the variable or the file beside the option; who typed none would look for it in vain."""
    if not isinstance(error, click.BadParameter) or error.param is None or error.ctx is None:
        return
    ctx, name = error.ctx, error.param.name
    match ctx.get_parameter_source(name):
        case ParameterSource.ENVIRONMENT:
            place = f"{ctx.auto_envvar_prefix}_{name.upper()}"
        case ParameterSource.DEFAULT_MAP:
            place = ctx.find_root().params.get("config") or FOUND
        case _:
            return
    from lacal.formats.shown import printable  # NumPy comes with it

    error.param_hint = f"{error.param.get_error_hint(ctx)} in {printable(place, 200)}"

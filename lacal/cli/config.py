"""Option values from a TOML file: --config FILE, or [tool.lacal] of ./pyproject.toml.

Precedence: command line, then LACAL_* environment, then this, then defaults. The table [preprocessing] holds
for every command that runs a model, unless the command's own table says otherwise.
"""

import os
import tomllib
from pathlib import Path
from typing import Any

import click

from lacal.cli.commands import COMMANDS, command_named
from lacal.errors import UsageError

PROJECT = Path("pyproject.toml")
FOUND = f"{PROJECT} [tool.lacal]"  # how messages name it
SHARED = "preprocessing"

# What lets a model run code or replaces files may stand in a file that the user names with --config, not in one that
# merely lies in the folder: it may have come with the data or the model that it is about.
FOR_A_NAMED_FILE = {
    ("train", "model"): "runs code",
    **{(name, "trust_model"): "lets a model run code of its own" for name in COMMANDS},
    **{(name, "force"): "replaces files" for name in COMMANDS},
}


def defaults(config: str | None) -> dict[str, Any]:
    """Default values per command, keys spelled as parameters."""
    if config is not None:
        return _tables(_parsed(Path(config)), config)
    if not PROJECT.is_file():
        return {}
    tool = _parsed(PROJECT).get("tool", {})
    own = tool.get("lacal", {}) if isinstance(tool, dict) else {}
    return _tables(own, FOUND)


def unread_variables(command: str) -> list[str]:
    """About variables of the environment that begin as a command's do, and set none of its options.

    LACAL_TUNETAU_SELECT is meant for tune-tau: underscores do not count.
    """
    from lacal.classes.names import near_miss

    prefix = f"LACAL_{command.replace('-', '_').upper()}_"
    options = (one for one in command_named(command).params if isinstance(one, click.Option))
    known = tuple(f"{prefix}{one.name}".upper() for one in options)
    begins = prefix.replace("_", "")
    return [
        f"{name} in the environment sets no option of {command}.{near_miss(name, known)}"
        for name in sorted(os.environ)
        if name.startswith("LACAL_")
        and name not in known
        and name.replace("_", "").startswith(begins)
    ]


def _parsed(path: Path) -> dict[str, Any]:
    try:
        # A pipe would be waited for, a device read for ever
        if path.exists() and not path.is_file():
            raise UsageError(f"{path}: is not a regular file; name a TOML file (--config)")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: there is no such file (--config)") from error
    except RecursionError as error:
        raise UsageError(
            f"{path}: is nested too deeply; expected a table for each command"
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: is not TOML that can be read ({str(error)[:100]})") from error


def _tables(content: Any, place: str) -> dict[str, Any]:
    from lacal.classes.names import near_miss, shown
    from lacal.cli.model_options import PREPROCESSING

    if not isinstance(content, dict):
        raise UsageError(f"{place}: expected a table for each command")
    known = (*COMMANDS, SHARED)
    for name, options in content.items():
        if name not in known:
            raise UsageError(
                f"{place}: {shown(name)} is no command; expected tables named after one of "
                f"{', '.join(known)}.{near_miss(name, known)}"
            )
        if not isinstance(options, dict):
            raise UsageError(f"{place}: {shown(name)} must be a table of options")
    tables = {
        name: _options(name, options, place) for name, options in content.items() if name != SHARED
    }
    if SHARED in content:
        for name in COMMANDS:
            if any(param.name in PREPROCESSING for param in command_named(name).params):
                shared = _options(name, content[SHARED], place, only=PREPROCESSING)
                tables[name] = {**shared, **tables.get(name, {})}
    return tables


def _options(
    command: str, options: dict[str, Any], place: str, only: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """The options by parameter name; a misspelt one would be passed over in silence."""
    from lacal.classes.names import near_miss, shown

    every = command_named(command).params
    params = {one.name: one for one in every if isinstance(one, click.Option)}
    known = tuple(params) if only is None else only
    values: dict[str, Any] = {}
    for key, value in options.items():
        name = key.replace("-", "_")
        _refuse_harm(command, name, place)
        if name not in known:
            kind = f"option of {command}" if only is None else "preprocessing option"
            raise UsageError(f"{place}: {shown(name)} is no {kind}.{near_miss(name, known)}")
        if name in values:
            raise UsageError(
                f"{place}: option {shown(key)} of {command} is given in two spellings; leave one out"
            )
        values[name] = _value(value, params[name], f"{place}: option {shown(key)} of {command}")
    return values


def _refuse_harm(command: str, name: str, place: str) -> None:
    """Refuse an option that a file which merely lies there must not decide on."""
    does = FOR_A_NAMED_FILE.get((command, name))
    if does is None or place != FOUND:
        return
    option = name.replace("_", "-")
    raise UsageError(
        f"{place}: {option} of {command} {does}; say --{option} on the command line, or name a file of options with "
        "--config"
    )


def _value(value: Any, param: Any, where: str) -> Any:
    """As text, so that a value is judged as one typed on the command line would be."""
    from lacal.cli.model_options import PREPROCESSING

    multiple = getattr(param, "multiple", False)
    listed = multiple or param.name in PREPROCESSING
    values = value if listed and isinstance(value, list) else [value]
    is_path = isinstance(param.type, click.Path)
    for one in values:
        if not isinstance(one, str | int | float) or (is_path and isinstance(one, bool)):
            holds = "holds" if isinstance(value, list) and listed else "is"
            expected = (
                "the path of a file or folder" if is_path else "text, a number, true or false"
            )
            raise UsageError(
                f"{where} {holds} a {type(one).__name__}; expected {expected}{', or a list of them' * listed}"
            )
    if isinstance(value, bool) and getattr(param, "is_flag", False):
        return value
    texts = [str(one) for one in values]
    return texts if multiple else ",".join(texts)

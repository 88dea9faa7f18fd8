"""Option values from a TOML file: --config FILE, or [tool.lacal] of ./pyproject.toml.

Precedence: command line, then LACAL_* environment, then this, then defaults.
"""

import tomllib
from pathlib import Path
from typing import Any

from lacal.cli.commands import COMMANDS, command_named
from lacal.errors import UsageError

PROJECT = Path("pyproject.toml")


def defaults(config: str | None) -> dict[str, Any]:
    """Default values per command, keys spelled as parameters."""
    if config is not None:
        return _tables(_parsed(Path(config)), config)
    if not PROJECT.is_file():
        return {}
    tool = _parsed(PROJECT).get("tool", {})
    own = tool.get("lacal", {}) if isinstance(tool, dict) else {}
    return _tables(own, f"{PROJECT} [tool.lacal]")


def _parsed(path: Path) -> dict[str, Any]:
    try:
        if (
            path.exists() and not path.is_file()
        ):  # a pipe would be waited for, a device read for ever
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
    from lacal.names import near_miss, shown

    if not isinstance(content, dict):
        raise UsageError(f"{place}: expected a table for each command")
    for name, options in content.items():
        if name not in COMMANDS:
            raise UsageError(
                f"{place}: {shown(name)} is no command; expected tables named after one of "
                f"{', '.join(COMMANDS)}.{near_miss(name, COMMANDS)}"
            )
        if not isinstance(options, dict):
            raise UsageError(f"{place}: {shown(name)} must be a table of options")
    return {name: _options(name, options, place) for name, options in content.items()}


def _options(command: str, options: dict[str, Any], place: str) -> dict[str, Any]:
    """The options by parameter name; a misspelt one would be passed over in silence."""
    from lacal.names import near_miss, shown

    known = {param.name: param for param in command_named(command).params if param.name}
    values: dict[str, Any] = {}
    for key, value in options.items():
        name = key.replace("-", "_")
        if name not in known:
            raise UsageError(
                f"{place}: {shown(name)} is no option of {command}.{near_miss(name, tuple(known))}"
            )
        if name in values:
            raise UsageError(
                f"{place}: option {shown(key)} of {command} is given in two spellings; leave one out"
            )
        if not isinstance(value, str | int | float):
            raise UsageError(
                f"{place}: option {shown(key)} of {command} is a {type(value).__name__}; expected "
                "text, a number, true or false"
            )
        # As text, so that a value is judged as one typed on the command line would be.
        flag = isinstance(value, bool) and getattr(known[name], "is_flag", False)
        values[name] = value if flag else str(value)
    return values

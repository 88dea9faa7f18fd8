"""The JSON Schemas (2020-12) of what the commands print with --json: a file a command, and what they share.

They are strict: every field is listed and is always there, null where it says nothing. Fields may be added under
the same `schema_version`; so a reader should pass over those it does not know.
"""

import json
from importlib.resources import files
from typing import Any

SHARED = "common.json"


def schema(command: str) -> dict[str, Any]:
    """The schema of a command's JSON, with the definitions it refers to inside.

    Args:
        command: `evaluate`, `tune-tau` and so on.

    Raises:
        KeyError: A command that prints no JSON.

    Example:
        >>> schema("evaluate")["title"]
        'lacal evaluate --json'
    """
    if command not in commands():
        raise KeyError(command)
    own = _read(f"{command}.json")
    own["$defs"] = {**_read(SHARED)["$defs"], **own.get("$defs", {})}
    inside: dict[str, Any] = json.loads(json.dumps(own).replace(f"{SHARED}#/", "#/"))
    return inside


def commands() -> list[str]:
    """Those that have a schema."""
    names = (one.name for one in _folder().iterdir())
    return sorted(name[:-5] for name in names if name.endswith(".json") and name != SHARED)


def _read(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(_folder().joinpath(name).read_text(encoding="utf-8"))
    return value


def _folder() -> Any:
    return files("lacal.report").joinpath("schema")

"""What a command reads beside its SOURCE and must not overwrite: files of options, and images by their paths."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from lacal.cli.config import PROJECT
from lacal.errors import LacalError


def settings_file() -> list[Path]:
    """The file that option values were taken from, if any: --config, else ./pyproject.toml."""
    config = click.get_current_context().find_root().params.get("config")
    if config is not None:
        return [Path(config)]
    return [PROJECT] if PROJECT.is_file() else []


def images_in_danger(inputs: Iterable[Path | None], given: dict[str, Any]) -> list[Path]:
    """Of the images that the inputs name, those alone that the command's outputs would replace.

    Nothing is listed unless an output is there already, so that inputs are not gone through twice for nothing.

    Args:
        inputs: Lists or folders of images, or anything else.
        given: The command's parameters.
    """
    from lacal.atomic import identities
    from lacal.cli.targets import targets_of

    named = [one for one in inputs if one is not None]
    targets = identities(one for one in targets_of(given) if not one.is_dir()) if named else set()
    if not targets:
        return []
    # Brings Arrow, which logits in arrays need not
    from lacal.inputs.image_tables import open_images

    found: list[Path] = []
    for one in named:
        # Inputs that cannot be read are refused where they are read.
        with contextlib.suppress(LacalError, OSError):
            images = open_images(one, given.get("root"))
            every = () if images is None else images.paths()
            found += (image for image in every if identities([image]) & targets)
    return found

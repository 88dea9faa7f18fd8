"""The commands by name; each is a file of this folder, imported when it is named, and not to be listed."""

import importlib
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# In the order of use, with what the list of commands says of each.
COMMANDS = {
    "inspect": "Show what a logits file holds and what looks wrong.",
    "train": "Train a classifier with a long-tail loss.",
    "infer": "Run a model over inputs and store its logits.",
    "tune-tau": "Search tau for balanced error on a validation split.",
    "adjust": "Write adjusted predictions of a logits file.",
    "evaluate": "Measure errors, scores and calibration; gates for CI.",
    "compare": "Compare post-hoc methods, or two runs row by row.",
    "export": "Write the adjusted model as a file.",
    "env": "Print what a bug report needs.",
    "completion": "Print a shell's completion script.",
}

# Those that must run where settings are broken: in a shell's start-up file, and to find out what is broken.
WITHOUT_SETTINGS = ("env", "completion")


class Commands(click.Group):
    """Commands by name, imported when they are needed."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None where there is none of that name."""
        return command_named(cmd_name) if cmd_name in COMMANDS else None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an option of the group that stands behind it is told its place."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            name = error.option_name
            if not any(name in one.opts for one in self.params):
                raise
            told = f"{name}: goes before the command: lacal {name} ... {ctx.invoked_subcommand} ..."
            raise click.UsageError(told, error.ctx) from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem[str]]":
        """The commands that begin so, for which none of them is imported, and the group's own options."""
        from click.shell_completion import CompletionItem

        named = [
            CompletionItem(name, help=told)
            for name, told in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Their list, for which none of them is imported."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; an unknown one gets the nearest name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from lacal.classes.names import near_miss

            hint = near_miss(args[0], tuple(COMMANDS))
            raise click.UsageError(error.message + hint, ctx) from error


def command_named(name: str) -> click.Command:
    """One of `COMMANDS`, imported now."""
    command: click.Command = importlib.import_module(f"lacal.cli.{name.replace('-', '_')}").command
    return command

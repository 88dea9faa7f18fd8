"""`lacal completion`: the script that teaches a shell to complete lacal's commands, options and names."""

import click

from lacal.cli.options import OneOf
from lacal.cli.sections import Sectioned
from lacal.cli.shells import SHELLS, script


@click.command("completion", cls=Sectioned)
@click.argument("shell", type=OneOf(*SHELLS))
def command(shell: str) -> None:
    """Print the completion script of SHELL: bash, zsh or fish.

    \b
    bash: add to ~/.bashrc    eval "$(lacal completion bash)"
    zsh:  add to ~/.zshrc     eval "$(lacal completion zsh)"       (after compinit)
    fish: run once            lacal completion fish > ~/.config/fish/completions/lacal.fish

    \b
    Example:
      lacal completion bash
    """
    click.echo(script(shell, click.get_current_context().find_root().command))

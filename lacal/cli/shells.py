"""Completion as each shell asks for it, where click's own falls short. Imported while a shell completes, or for its script.

click offers the value alone for `--option=VALUE`, which zsh and fish put in place of the whole word; bash takes `=` and
`:` for words of their own; and click's script for fish cuts what it is offered at a comma.
"""

import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "lacal"
VARIABLE = "_LACAL_COMPLETE"  # set by the scripts; click forms the name from the program's
TORN = ("=", ":")  # characters that bash makes words of their own


class _WholeWords(ShellComplete):
    """Offers the word as the shell will put it in."""

    _option = ""  # `--option=`, where the word in question begins so
    _had = ""  # the part of that word that stays

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one in question, and that one."""
        words, typed = super().get_completion_args()
        if typed.startswith("-") and "=" in typed:
            self._option = typed.partition("=")[0] + "="
        return words, typed

    def format_completion(self, item: CompletionItem[str]) -> str:
        """The item's line for the script."""
        if item.type == "plain":
            word = (self._option + item.value).removeprefix(self._had)
            item = CompletionItem(word, item.type, item.help)
        return super().format_completion(item)


class _Torn(BashComplete):
    """bash's words, put together again where it tore them apart."""

    _had = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one in question, and that one."""
        words = split_arg_string(os.environ["COMP_WORDS"])
        at = int(os.environ["COMP_CWORD"])
        last = words[at] if at < len(words) else ""
        whole: list[str] = []
        for word in (*words[1:at], last):
            if whole and (word in TORN or whole[-1].endswith(TORN)):
                whole[-1] += word
            else:
                whole.append(word)
        typed = whole.pop() if whole else ""
        self._had = typed if last in TORN else typed.removesuffix(last)
        return whole, typed


class Bash(_WholeWords, _Torn):
    """bash 4.4 and later."""


class Zsh(_WholeWords, ZshComplete):
    """zsh."""


class Fish(_WholeWords, FishComplete):
    """fish."""

    source_template = FishComplete.source_template.replace(
        'string split ","', 'string split --max 1 ","'
    )


def register() -> None:
    """Have click use these."""
    for kind in (Bash, Zsh, Fish):
        add_completion_class(kind)


def script(shell: str, command: click.Command) -> str:
    """The script that registers lacal's completion with one of `SHELLS`."""
    register()
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(command, {}, PROGRAM, VARIABLE).source()

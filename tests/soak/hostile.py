"""Names that are markup, escapes, formulas, layout or nothing, through every place that shows a name.

A round is one name: of a class, of a group of classes, of a row and of a file, all at once. It is either refused, in a
sentence that can be printed, or goes through tables, JSON, Markdown, annotations, JUnit, pages and charts: as text.
"""

import json
import os
import random
import re
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tests.soak.captured import Captured, Said
from tests.soak.findings import Findings
from tests.test_hostile_names import JUNIT, Elements, dangerous

NAMES = (
    "", " ", "  both ends  ", "\t", "\n", "\r\n", "a\rb", "\v\f", "\0", "a\0b", "\x1b[2J", "\x1b]8;;http://x\x1b\\here\x1b]8;;\x1b\\",
    "\x1b]0;title\x07", "\x9b31m", "\x07", "\x08\x08\x08", "\x7f", "\u202eright to left", "\u2066isolate\u2069", "\u200b", "\ufeff",
    "\u2028", "\u2029", "\u0085", "e\u0301", "\u00e9", "Z\u0351\u036b\u0343" * 40, "ｗｉｄｅ", "مرحبا", "日本語", "😀‍👩‍👧", "\U000e0041", "\ud800", "\udfff\ud800",
    "<b>", "</td></tr></table>", "</script><script>alert(1)</script>", "</style>", "<!--", "-->", "]]>", "<![CDATA[", "<?xml?>",
    "<img src=x onerror=alert(1)>", "\" onmouseover=\"alert(1)", "' autofocus onfocus='alert(1)", "javascript:alert(1)", "&lt;", "&#0;",
    "&nbsp", "<svg onload=alert(1)>", "<a href=//x>", "<base href=//x>", "<meta http-equiv=refresh>", "{{7*7}}", "{% raw %}", "${7*7}",
    "%s%n%d", "%(x)s", "{0}", "{", "\\", "\\N{BULLET}", "$\\frac{$", "$\\nope$", "$x$", "$$", "_^_", "\\$", "[/]", "[red]", "[link=x]",
    "a[b]c", "[[", "=1+1", "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "|", "a|b", "`", "```", "* x", "# x", "1. x", "---",
    "![x](http://x)", "[x](javascript:y)", "~~x~~", "<https://x>", "::error::x", "::set-output name=a::b", "##[error]x", "%0A::stop-commands::x",
    "../../etc/passwd", "/etc/passwd", "C:\\con", "aux", "a/b", ".", "..", "~", "-", "--help", "-o", "*", "?", "\"", "'", "\"\"", ",", ";", "a,b",
    "nan", "NaN", "null", "None", "true", "inf", "1e5", "007", "0", "1", "1.0", "0x10", "NA", "many", "few", "medium", "all", "class", "count",
    "x" * 10_000, "x" * 300_000, "word " * 2_000, "\n" * 50, "ab" * 5 + "\u0300" * 500,
)  # fmt: skip
Judge = Callable[[Said], Iterator[str]]
PLAIN = ("plain", "other", "third")
COUNTS = (100, 30, 10, 3)
ROWS = 40
COUNTED = ("--counts", "counts.json")
COMMANDS: dict[str, tuple[str, ...]] = {
    "tune-tau": ("tune-tau", "val.npz", *COUNTED, "--draws", "10"),
    "adjust": ("adjust", "test.npz", "--calibration", "c.json", "-o", "again.parquet", "--force"),
    "evaluate": ("evaluate", "test.npz", "--calibration", "c.json", "--groups", "groups.json"),
    "predictions": ("evaluate", "p.parquet", *COUNTED),
    "methods": ("compare", "val.npz", "test.npz", *COUNTED, "--draws", "10"),
    "runs": ("compare", "p.parquet", "p.parquet"),
}
DRAWN = {"script", "foreignObject", "img", "a", "image"}


def soak(rounds: int, seed: int, until: float) -> Findings:
    """Play a name a round: those of the list first, then mixtures of them by chance."""
    found, captured, kept = Findings(), Captured(), Path.cwd()
    plain: dict[str, Elements] = {}
    try:
        for number in range(rounds):
            if time.monotonic() > until:
                break
            with tempfile.TemporaryDirectory(prefix="lacal-hostile-") as folder:
                os.chdir(folder)
                name = name_of(seed, number)
                for what in _round(
                    captured, name, list(COMMANDS)[number % len(COMMANDS)], found, plain
                ):
                    found.faults.append(f"{name[:60]!a}: {what}; seed {seed}, round {number}")
                os.chdir(kept)
            found.rounds += 1
    finally:
        os.chdir(kept)
        captured.close()
    return found


def name_of(seed: int, number: int) -> str:
    """The name of a round."""
    if number < len(NAMES):
        return NAMES[number]
    chance = random.Random(f"{seed} {number}")
    return "".join(chance.choice(NAMES)[:2000] for _ in range(chance.randrange(2, 6)))


def _round(
    captured: Captured, name: str, which: str, found: Findings, plain: dict[str, Elements]
) -> Iterator[str]:
    """What goes wrong with a name in one command's every form."""
    problem = _write(name)
    first = captured.run([*COMMANDS["tune-tau"], "-o", "c.json"])
    yield from _of_terminal("tune-tau", first)
    if problem or first.code == 2:
        found.count("refused")
        if first.code != 2 or first.err.count("Error: ") != 1:
            yield f"is no name, and ended with {first.code}: {first.err[:300]!a}"
        return
    found.count("shown")
    said = captured.run(["adjust", "test.npz", "--calibration", "c.json", "-o", "p.parquet"])
    yield from _of_terminal("adjust", said)
    if said.code:
        return
    told = pq.read_table("p.parquet")
    if not set(told["prediction_name"].to_pylist()) <= {name, *PLAIN}:
        yield "stands otherwise in the predictions"
    if told["id"][0].as_py() != name + "0":
        yield "stands otherwise in the ids of the predictions"
    line = list(COMMANDS[which])
    yield from _of_terminal(which, captured.run(line))
    yield from _of_json(captured.run([*line, "--json"]), name)
    yield from _of_markdown(captured.run([*line, "--format", "md"]))
    yield from _of_junit(captured.run([*line, "--format", "junit"]))
    yield from _of_annotations(captured.run([*line, "--format", "github"]))
    page = captured.run([*line, "--report", "page.html", "--plots", "plots", "--force"])
    yield from _of_terminal(which, page)
    if page.code == 0:
        if which not in plain:
            plain[which] = _plain_page(captured, line)
        yield from _of_page(Path("page.html").read_text(encoding="utf-8"), plain[which])
        yield from _of_charts(Path("plots"))


def _write(name: str) -> bool:
    """The files of a problem with this name in them; whether the name is one that cannot be a class's."""
    names = (*PLAIN, name)
    labels = np.arange(ROWS) % len(names)
    for split, seed in (("val", 0), ("test", 1)):
        chance = np.random.default_rng(seed)
        logits = chance.normal(size=(ROWS, len(names))) + np.log(COUNTS)
        logits[np.arange(ROWS), labels] += 2.0
        ids = np.array([f"{name.rstrip(chr(0))}{row}" for row in range(ROWS)])
        np.savez(f"{split}.npz", logits=logits, labels=labels, ids=ids)
    # As JSON: a cell of a CSV file may not span lines.
    for file, values in (("counts", COUNTS), ("groups", ("common", "common", name, name))):
        Path(f"{file}.json").write_text(json.dumps(dict(zip(names, values, strict=True))))
    return "\0" in name or any("\ud800" <= one <= "\udfff" for one in name)


def _of_terminal(which: str, said: Said) -> Iterator[str]:
    if said.raised is not None or said.code not in (0, 2):
        yield f"{which} ended with {said.code}: {said.raised!r} {said.err[:300]!a}"
    if risky := dangerous(said.out + said.err):
        yield f"{which} wrote {sorted(risky)!a} to the terminal"
    if max(map(len, (said.out + said.err).splitlines()), default=0) > 1000:
        yield f"{which} wrote a line of more than 1,000 characters"


def _of_json(said: Said, name: str) -> Iterator[str]:
    if said.code:
        return
    if not said.out.isascii() or said.out.count("\n") != 1:
        yield "JSON is more than a line of ASCII"
    if name not in _strings(json.loads(said.out)):
        yield "stands otherwise in JSON"


def _strings(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_strings, value.values()))
    if isinstance(value, list):
        return set().union(*map(_strings, value))
    return {value} if isinstance(value, str) else set()


def _of_markdown(said: Said) -> Iterator[str]:
    if dangerous(said.out):
        yield "Markdown holds what a terminal would obey"
    if re.search(r"(?<!\\)<[a-z!/?]", said.out, re.IGNORECASE):
        yield "Markdown holds an element"
    for block in said.out.split("\n\n"):
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        if block.startswith("|") and len(bars) > 1:
            yield "a row of a Markdown table has other cells"


def _of_junit(said: Said) -> Iterator[str]:
    if said.code == 0 and not {one.tag for one in ElementTree.fromstring(said.out).iter()} <= JUNIT:
        yield "JUnit holds an element"


def _of_annotations(said: Said) -> Iterator[str]:
    for line in said.out.splitlines():
        command = re.match(r"\s*(?:::|##\[)(\S*)", line)
        if command and not re.match(r"(notice|warning|error)\b", command[1]):
            yield f"GitHub gets a command: {line[:80]!a}"


def _plain_page(captured: Captured, line: list[str]) -> Elements:
    """The page of names that are words, made in a folder of its own."""
    kept = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="lacal-hostile-") as folder:
        os.chdir(folder)
        _write("fourth")
        for one in (
            [*COMMANDS["tune-tau"], "-o", "c.json"],
            ["adjust", "test.npz", "--calibration", "c.json", "-o", "p.parquet"],
            [*line, "--report", "page.html"],
        ):
            said = captured.run(one)
            if said.code:
                raise RuntimeError(f"{one}: {said.err}")
        page = Elements(Path("page.html").read_text(encoding="utf-8"))
        os.chdir(kept)
    return page


def _of_page(text: str, plain: Elements) -> Iterator[str]:
    page = Elements(text)
    if risky := dangerous(text) - {"\t"}:
        yield f"the page holds {sorted(risky)!a}"
    if set(page.seen) - set(plain.seen) or page.seen.get("script") != plain.seen.get("script"):
        yield f"the page has elements of its own: {set(page.seen) - set(plain.seen)}"
    if new := {
        one for one in page.attributes - plain.attributes if one.startswith(("on", "src", "href"))
    }:
        yield f"the page has attributes of its own: {new}"


def _of_charts(folder: Path) -> Iterator[str]:
    drawn = sorted(folder.glob("*.svg"))
    if not drawn or len(drawn) != len(list(folder.glob("*.png"))):
        yield "charts are missing"
    for path in drawn:
        tags = {one.tag.rpartition("}")[2] for one in ElementTree.parse(path).iter()}
        if tags & DRAWN:
            yield f"{path.name} holds {tags & DRAWN}"
        if dangerous(path.read_text(encoding="utf-8")) - {"\t"}:
            yield f"{path.name} holds what a terminal would obey"

"""Damage to texts that keeps most of their grammar: tables of cells, lines, JSON, TOML, expressions."""

import copy
import json
import random
import re
import struct
from typing import Any

from tests.soak.mutants.mutation import near, text

# What json.dumps would never write, in place of a value.
RAW = (
    "NaN", "-Infinity", "1e999", "-1e999", "1" * 5000, "1.0", "-0.0", "1e-400", "01", "0x1", "[" * 2000, '"\\ud800"',
    '"\\u0000"', "'a'", "nul", "", "{}", "[]", "[[]]", "true", "null", '{"a":1,"a":2}', "9007199254740993", "//", "1,",
)  # fmt: skip
TOKEN = re.compile(r'"[^"\n]*"|[\w.+-]+|\S|\s+')
WORDS = (
    "error", "balanced_error", "accuracy", "many", "few", "class", "and", "or", ">", "<", ">=", "==", "%", ".", "=", "-",
    "(", ")", "[", "]", "{", "0", "1e999", "nan", "'", '"', "recall", "top5", "ece", "0.5", "100,20", "quantiles:3",
)  # fmt: skip


def table(data: bytes, chance: random.Random) -> bytes:
    """Cells, rows, columns, quotes and line ends of a delimited text, or of plain lines."""
    comma = b"," if b"," in data else b"\t"
    rows = [line.split(comma) for line in data.split(b"\n")]
    for _ in range(chance.choice((1, 1, 2, 4))):
        row = chance.choice(rows)
        at = chance.randrange(len(row)) if row else 0
        match chance.randrange(14):
            case 0:
                row.insert(at, text(chance).encode())
            case 1 if row:
                del row[at]
            case 2:
                rows.insert(chance.randrange(len(rows) + 1), list(row))
            case 3 if len(rows) > 1:
                rows.remove(row)
            case 4:
                chance.shuffle(rows)
            case 5:
                chance.shuffle(row)
            case 6:
                for one in rows:
                    if at < len(one):
                        del one[at]
            case 7:
                for one in rows:
                    one.insert(at, text(chance).encode() if chance.random() < 0.3 else b"1")
            case 8 if row:
                row[at] = b'"' + row[at]
            case 9 if row:
                row[at] = b'"' + row[at] + b'"' * chance.randrange(1, 4)
            case 10 if len(rows[0]) > 1 and rows[0]:
                rows[0][chance.randrange(len(rows[0]))] = chance.choice(rows[0])
            case 11:
                comma = chance.choice((b";", b"\t", b"|", b" ", b",,", b", "))
            case _ if row:
                row[at] = _cell(row[at], chance)
            case _:
                rows.append([])
    whole = chance.choice((b"\n",) * 8 + (b"\r\n", b"\r", b"\n\n")).join(map(comma.join, rows))
    if chance.random() < 0.05:
        return _encoded(whole, chance)
    return whole


def _cell(old: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.4:
        try:
            return str(near(int(float(old)), chance)).encode()
        except (ValueError, OverflowError):
            pass
    return text(chance).encode()


def _encoded(data: bytes, chance: random.Random) -> bytes:
    shown = data.decode(errors="replace")
    return chance.choice(
        (
            b"\xef\xbb\xbf" + data,
            shown.encode("utf-16"),
            shown.encode("utf-32"),
            shown.encode("latin-1", errors="replace") + b"\xe9",
            data.replace(b"\n", b"\0"),
            b"# a comment\n" + data,
        )
    )


def json_value(data: bytes, chance: random.Random) -> bytes:
    """Values, keys and nesting of a JSON document."""
    return _written(_changed(json.loads(data), chance), chance).encode(errors="surrogatepass")


def safetensors(data: bytes, chance: random.Random) -> bytes:
    """The header's JSON, its length beside it, or the place of the data."""
    size = struct.unpack_from("<Q", data)[0]
    header, rest = data[8 : 8 + size], data[8 + size :]
    if chance.random() < 0.8:
        header = json_value(header, chance)
    if chance.random() < 0.3:
        header += b" " * chance.randrange(16)
    said = len(header) if chance.random() < 0.9 else near(len(header), chance) % 2**64
    return struct.pack("<Q", said) + header + rest


def _changed(root: Any, chance: random.Random) -> Any:
    """The document with one to three of its places changed."""
    root = {"": root}
    for _ in range(chance.choice((1, 1, 2, 3))):
        places = list(_places(root))
        holder, key = chance.choice(places)
        old = holder[key]
        match chance.randrange(9):
            case 0 if key != "":
                del holder[key]
            case 1 if isinstance(holder, dict) and key != "":
                holder[text(chance) or "a"] = holder.pop(key)
            case 2:
                holder[key] = _Raw(chance.choice(RAW))
            case 3:
                holder[key] = chance.choice(([old], {"a": old}, [old, old], str(old), None))
            case 4 if isinstance(holder, list):
                holder.insert(key, old)
            case 5:
                other, there = chance.choice(places)
                holder[key] = copy.deepcopy(other[there])
            case 6:
                holder[key] = text(chance)
            case _ if isinstance(old, bool | str) or old is None:
                holder[key] = chance.choice((True, False, None, 0, text(chance)))
            case _ if isinstance(old, int | float) and abs(old) < 1e300:
                holder[key] = near(int(old), chance) if chance.random() < 0.6 else old * -1.5
            case _:
                holder[key] = chance.choice(([], {}, "", 0, 1.5, -1, [1, 2], [[0.5]], True))
    return root[""]


class _Raw(str):
    """Text that is put into the document as it is."""


def _places(node: Any) -> Any:
    keys = node.keys() if isinstance(node, dict) else range(len(node))
    for key in list(keys):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _places(node[key])


def _written(value: Any, chance: random.Random) -> str:
    """JSON that may hold what JSON may not."""
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, dict):
        pairs = [f"{json.dumps(key)}:{_written(one, chance)}" for key, one in value.items()]
        if pairs and chance.random() < 0.02:
            pairs.append(chance.choice(pairs))
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_written(one, chance) for one in value) + "]"
    return json.dumps(value)


def tokens(data: bytes, chance: random.Random) -> bytes:
    """Words, numbers and signs of an expression or of TOML: dropped, doubled, swapped, replaced."""
    said = TOKEN.findall(data.decode(errors="replace"))
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(said) + 1)
        match chance.randrange(5):
            case 0:
                del said[at : at + 1]
            case 1:
                said[at:at] = said[at : at + 1]
            case 2:
                said[at:at] = [chance.choice(WORDS)]
            case 3:
                said[at : at + 1] = [text(chance)]
            case _:
                said[at : at + 2] = reversed(said[at : at + 2])
    return "".join(said).encode(errors="surrogatepass")

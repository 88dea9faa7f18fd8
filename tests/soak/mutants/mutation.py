"""What the mutators share: the values that programs trip over, and damage that knows nothing of the format."""

import random
import struct
from collections.abc import Callable
from typing import Literal

Mutator = Callable[[bytes, random.Random], bytes]

# At and around the ends of the integers that headers are made of, and lengths that no file has.
WHOLE = (
    0, 1, 2, 3, 4, 7, 8, 12, 15, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 1000, 4096, 32_767, 32_768,
    65_535, 65_536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip
BYTES = (0, 1, 9, 10, 13, 32, 34, 44, 45, 46, 48, 57, 65, 91, 92, 123, 127, 128, 255)
TEXTS = (
    "", " ", "\0", "nan", "NaN", "inf", "-inf", "1e400", "-0", "0x10", "1_000", "1,5", "007", "9" * 30, "1e-400",
    "true", "null", "None", "=1+1", '"', '""', "'", "\n", "\r", "\r\n", "\t", ",", ";", "\x1b[31m", "\u202e", "\u2028",
    "é", "e\u0301", "😀", "\ufeff", "../../x", "/etc/passwd", "$\\frac{$", "[/]", "{", "}", "%s", "{0}", "<b>", "x" * 5000,
    "cat", "CAT", " cat", "-1", "1.5", "3", "class", "label", "logits", "١٢",
)  # fmt: skip


def whole(chance: random.Random, size: int = 8) -> int:
    """A whole number that fits an unsigned integer of so many bytes, most likely a nasty one."""
    value = chance.choice(WHOLE) if chance.random() < 0.8 else chance.getrandbits(8 * size)
    if chance.random() < 0.2:
        value = -value
    return value % (1 << (8 * size))


def near(value: int, chance: random.Random) -> int:
    """A whole number in place of another: beside it, a multiple of it, or any other."""
    ways = (value + 1, value - 1, -value, value * 2, value // 2, value ^ 1 << chance.randrange(33))
    if chance.random() < 0.5:
        return chance.choice(ways)
    return chance.choice(WHOLE) * chance.choice((1, 1, 1, -1))


def text(chance: random.Random) -> str:
    """Text that some reader takes for something else."""
    return chance.choice(TEXTS)


def bytewise(data: bytes, chance: random.Random) -> bytes:
    """One to four wounds anywhere: most files die of it in their first header."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        data = chance.choice(WOUNDS)(data, chance)
    return data


def _flip(data: bytes, chance: random.Random) -> bytes:
    return _put(data, chance, lambda old: bytes([old[0] ^ 1 << chance.randrange(8)]), 1)


def _byte(data: bytes, chance: random.Random) -> bytes:
    return _put(data, chance, lambda old: bytes([chance.choice(BYTES)]), 1)


def _word(data: bytes, chance: random.Random) -> bytes:
    size = chance.choice((2, 4, 8))
    order: Literal["little", "big"] = "big" if chance.random() < 0.3 else "little"
    return _put(data, chance, lambda old: whole(chance, size).to_bytes(size, order), size)


def _put(data: bytes, chance: random.Random, new: Callable[[bytes], bytes], size: int) -> bytes:
    if len(data) < size:
        return data
    at = chance.randrange(len(data) - size + 1)
    return data[:at] + new(data[at : at + size]) + data[at + size :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _drop(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.choice((1, 2, 4, 8, 64)) :]


def _again(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[max(0, at - chance.choice((1, 4, 8, 64, 512))) :]


def _insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    new = (
        text(chance).encode() if chance.random() < 0.5 else chance.randbytes(chance.randrange(1, 9))
    )
    return data[:at] + new + data[at:]


def _extend(data: bytes, chance: random.Random) -> bytes:
    return data + chance.choice((b"\0", b"\n", b"\n\n", data, b"\0" * 512, chance.randbytes(16)))


def _blank(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    gone = data[at : at + chance.choice((4, 16, 64, 256))]
    return data[:at] + bytes(len(gone)) + data[at + len(gone) :]


def _swap(data: bytes, chance: random.Random) -> bytes:
    """Two neighbouring stretches change places."""
    size = chance.choice((1, 4, 8, 32))
    at = chance.randrange(len(data) + 1)
    first, second = data[at : at + size], data[at + size : at + 2 * size]
    return data[:at] + second + first + data[at + 2 * size :]


WOUNDS: tuple[Mutator, ...] = (
    _flip, _flip, _byte, _byte, _word, _word, _cut, _drop, _again, _insert, _extend, _blank, _swap,
)  # fmt: skip


def weird_float(chance: random.Random) -> bytes:
    """Eight bytes of a number that arithmetic trips over."""
    odd = (
        0.0,
        -0.0,
        1.0,
        1e-320,
        1e308,
        -1e308,
        float("inf"),
        float("-inf"),
        float("nan"),
        65520.0,
    )
    return struct.pack("<d", chance.choice(odd))

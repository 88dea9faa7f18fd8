"""Damage to the metadata of Parquet (thrift, the compact protocol) and of Arrow IPC (flatbuffers).

Both are read here without their schemas: a thrift struct says the type of every field itself, and a flatbuffer's
table says where its fields are, though not what they are.
"""

import random
import struct
from typing import Any

from tests.soak.mutants.mutation import bytewise, near, text, whole

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
Field = list[Any]  # number, type, value
Items = list[Any]  # type, values


class _Reader:
    """The compact protocol's bytes, read from a place on."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def varint(self) -> int:
        found = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            found |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return found

    def struct(self) -> list[Field]:
        fields: list[Field] = []
        number = 0
        while byte := self.data[self.at]:
            self.at += 1
            kind = byte & 15
            if byte >> 4:
                number += byte >> 4
            else:
                number = _signed(self.varint())
            fields.append([number, kind, self.value(kind)])
        self.at += 1
        return fields

    def value(self, kind: int, inside: bool = False) -> Any:
        if kind in (TRUE, FALSE):
            if inside:
                self.at += 1
            return kind == TRUE
        if kind == BYTE:
            self.at += 1
            return self.data[self.at - 1]
        if kind in (I16, I32, I64):
            return _signed(self.varint())
        if kind in (DOUBLE, BINARY):
            size = 8 if kind == DOUBLE else self.varint()
            self.at += size
            return self.data[self.at - size : self.at]
        if kind in (LIST, SET):
            byte = self.data[self.at]
            self.at += 1
            size = byte >> 4 if byte >> 4 < 15 else self.varint()
            return [byte & 15, [self.value(byte & 15, True) for _ in range(size)]]
        return self.struct()


def _signed(zigzag: int) -> int:
    return (zigzag >> 1) ^ -(zigzag & 1)


def _varint(value: int) -> bytes:
    value %= 1 << 64
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _zigzag(value: int) -> bytes:
    return _varint(value << 1 ^ value >> 63)


def thrift_fields(data: bytes, at: int) -> tuple[list[Field], int]:
    """The fields of the struct at a place, and where it ends."""
    reader = _Reader(data, at)
    return reader.struct(), reader.at


def thrift_bytes(fields: list[Field]) -> bytes:
    """The struct of these fields."""
    found, before = bytearray(), 0
    for number, kind, value in fields:
        step = number - before
        before = number
        if 0 < step < 16:
            found.append(step << 4 | kind)
        else:
            found += bytes([kind]) + _zigzag(number)
        found += _value_bytes(kind, value)
    return bytes(found) + b"\0"


def _value_bytes(kind: int, value: Any, inside: bool = False) -> bytes:
    if kind in (TRUE, FALSE):
        return bytes([1 if value else 2]) if inside else b""
    if kind == BYTE:
        return bytes([value % 256])
    if kind in (I16, I32, I64):
        return _zigzag(value)
    if kind == DOUBLE:
        return bytes(value)
    if kind == BINARY:
        return _varint(len(value)) + bytes(value)
    if kind in (LIST, SET):
        of, items = value
        size = len(items)
        start = bytes([size << 4 | of]) if size < 15 else bytes([0xF0 | of]) + _varint(size)
        return start + b"".join(_value_bytes(of, one, True) for one in items)
    return thrift_bytes(value)


def _leaves(fields: list[Field]) -> list[tuple[Any, Any, int]]:
    """Every scalar as (holder, key, type), the holders being lists that can be changed."""
    found = []
    for field in fields:
        found += _leaves_of(field, 2, field[1])
    return found


def _leaves_of(holder: Any, key: Any, kind: int) -> list[tuple[Any, Any, int]]:
    value = holder[key]
    if kind in (LIST, SET):
        return [one for at in range(len(value[1])) for one in _leaves_of(value[1], at, value[0])]
    return _leaves(value) if kind == STRUCT else [(holder, key, kind)]


def _structs(fields: list[Field]) -> list[list[Any]]:
    """Every list that can lose, double or exchange what it holds: fields of structs, items of lists."""
    found = [fields]
    for _, kind, value in fields:
        if kind == STRUCT:
            found += _structs(value)
        elif kind in (LIST, SET):
            found.append(value[1])
            if value[0] == STRUCT:
                for one in value[1]:
                    found += _structs(one)
    return found


def thrift(data: bytes, chance: random.Random, at: int = 0) -> tuple[bytes, int]:
    """A struct with one to three changes, and where the old one ended."""
    fields, end = thrift_fields(data, at)
    for _ in range(chance.choice((1, 1, 2, 3))):
        leaves, groups = _leaves(fields), _structs(fields)
        if leaves and chance.random() < 0.75:
            holder, key, kind = chance.choice(leaves)
            if kind == BINARY:
                changed = (
                    text(chance).encode()
                    if chance.random() < 0.5
                    else bytewise(holder[key], chance)
                )
                holder[key] = changed
            elif kind == DOUBLE:
                holder[key] = chance.randbytes(8)
            elif kind in (TRUE, FALSE):
                holder[key] = not holder[key]
                if len(holder) == 3 and key == 2:
                    holder[1] = TRUE if holder[key] else FALSE
            elif chance.random() < 0.5:  # an enumeration's other member, or a place nearby
                holder[key] = chance.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, holder[key] + 1))
            else:
                holder[key] = near(holder[key], chance)
            continue
        group = chance.choice([one for one in groups if one] or [fields])
        spot = chance.randrange(len(group)) if group else 0
        match chance.randrange(3):
            case 0:
                del group[spot : spot + 1]
            case 1:
                group[spot:spot] = group[spot : spot + 1]
            case _:
                chance.shuffle(group)
    return thrift_bytes(fields), end


def parquet(data: bytes, chance: random.Random) -> bytes:
    """The footer, or the header of a page."""
    size = struct.unpack_from("<I", data, len(data) - 8)[0]
    start = len(data) - 8 - size
    if chance.random() < 0.25:
        pages = _page_places(data, start)
        at = chance.choice(pages or [4])
        header, end = thrift(data, chance, at)
        return data[:at] + header + data[end:]
    footer, _ = thrift(data, chance, start)
    said = len(footer) if chance.random() < 0.97 else near(len(footer), chance)
    return data[:start] + footer + struct.pack("<I", said % 2**32) + b"PAR1"


def _page_places(data: bytes, footer: int) -> list[int]:
    """Where pages may start, as the footer's own numbers say."""
    leaves = _leaves(thrift_fields(data, footer)[0])
    found = {holder[key] for holder, key, kind in leaves if kind == I64}
    return sorted(at for at in found if 4 <= at < footer and data[at] == 0x15)


def ipc(data: bytes, chance: random.Random) -> bytes:
    """One to three fields of the flatbuffers that describe messages, or the lengths in front of them."""
    changed = bytearray(data)
    starts = _messages(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        start, size = chance.choice(starts)
        if chance.random() < 0.05:
            struct.pack_into("<I", changed, start - 4, near(size, chance) % 2**32)
            continue
        places = list(_slots(data[start : start + size])) or [(0, 4)]
        at, width = chance.choice(places)
        at += start
        old = int.from_bytes(changed[at : at + width], "little")
        value = near(old, chance) if chance.random() < 0.6 else whole(chance, width)
        changed[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(changed)


def _messages(data: bytes) -> list[tuple[int, int]]:
    """First byte and length of each flatbuffer: of messages, and of a file's footer."""
    found = []
    at = data.find(b"\xff\xff\xff\xff")
    while 0 <= at < len(data) - 8:
        size = struct.unpack_from("<I", data, at + 4)[0]
        if 16 <= size <= len(data) - at - 8 and at % 8 == 0:
            found.append((at + 8, size))
        at = data.find(b"\xff\xff\xff\xff", at + 4)
    if data.endswith(b"ARROW1"):
        size = struct.unpack_from("<I", data, len(data) - 10)[0]
        found.append((len(data) - 10 - size, size))
    return found


def _slots(buffer: bytes) -> list[tuple[int, int]]:
    """Places and widths of what the tables of a flatbuffer hold, as far as they can be told without a schema."""
    found: list[tuple[int, int]] = []
    seen: set[int] = set()

    def table(at: int) -> bool:
        if at in seen or not 4 <= at <= len(buffer) - 4:
            return False
        behind = at - struct.unpack_from("<i", buffer, at)[0]
        if not 0 <= behind <= len(buffer) - 4:
            return False
        length, width = struct.unpack_from("<HH", buffer, behind)
        if not (4 <= length <= 64 and length % 2 == 0 and behind + length <= len(buffer)):
            return False
        seen.add(at)
        found.append((at, 4))
        for slot in range(behind, behind + length, 2):
            found.append((slot, 2))
        for slot in range(behind + 4, behind + length, 2):
            offset = struct.unpack_from("<H", buffer, slot)[0]
            if not 4 <= offset < width:
                continue
            place = at + offset
            found.append((place, chance_width(width - offset)))
            if place + 4 <= len(buffer):
                _follow(place)
        return True

    def _follow(place: int) -> None:
        target = place + struct.unpack_from("<I", buffer, place)[0]
        if not place < target <= len(buffer) - 4 or table(target):
            return
        size = struct.unpack_from("<I", buffer, target)[0]
        if size and target + 4 + size <= len(buffer):  # a vector, of tables, structs or characters
            found.append((target, 4))
            for one in range(target + 4, min(target + 4 + 8 * size, len(buffer) - 8), 8):
                found.append((one, 8))
            for one in range(target + 4, min(target + 4 + 4 * size, len(buffer) - 4), 4):
                inner = one + struct.unpack_from("<I", buffer, one)[0]
                if one < inner:
                    table(inner)

    def chance_width(left: int) -> int:
        return 8 if left >= 8 else 4 if left >= 4 else 2 if left >= 2 else 1

    table(struct.unpack_from("<I", buffer)[0])
    return found

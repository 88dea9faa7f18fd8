"""Damage to .npy headers, and to archives: their members, their directory, and what the members hold."""

import io
import pickletools
import random
import struct
import warnings
import zipfile
from collections.abc import Callable

from tests.soak.mutants.mutation import Mutator, bytewise, near, text, whole

KINDS = (
    "<f4", ">f4", "<f8", "<f2", "<i8", "<i4", "|i1", "|u1", "<u8", "|b1", "|O", "|S4", "<U3", "<U0", "|V8", "<c8", "<M8[D]",
    "<m8", "<f16", "<f3", "", "f4", "=f4", "|f4", "<i8,<f4", "object", "<f4\0", "T",
)  # fmt: skip
STRUCTURED = "[('a', '<f4'), ('b', '<i4')]"


def npy(data: bytes, chance: random.Random) -> bytes:
    """The header's dictionary, its length, its version; sometimes the numbers too."""
    if data[:6] != b"\x93NUMPY" or chance.random() < 0.15:
        return bytewise(data, chance)
    size = struct.unpack_from("<H", data, 8)[0]
    header, rest = data[10 : 10 + size].decode("latin-1"), data[10 + size :]
    start, _, shape = header.partition("'shape': (")
    sides = [one.strip() for one in shape.partition(")")[0].split(",") if one.strip()]
    match chance.randrange(9):
        case 0:
            sides = [str(near(int(one), chance)) for one in sides]
        case 1:
            sides.insert(
                chance.randrange(len(sides) + 1), str(chance.choice((0, 1, 2, whole(chance))))
            )
        case 2 if sides:
            del sides[chance.randrange(len(sides))]
        case 3:
            sides = [
                chance.choice(("True", "1.0", "'1'", "None", "-1", "[1]", "1j", "9" * 400))
            ] * 2
        case 4:
            chance.shuffle(sides)
        case 5 | 6:
            descr = f"'{chance.choice(KINDS)}'" if chance.random() < 0.9 else STRUCTURED
            start = f"{{'descr': {descr}, 'fortran_order': {chance.random() < 0.3}, "
        case 7:
            start = start.replace("False", chance.choice(("True", "None", "0", "1", "'no'", "")))
        case _:
            start = start.replace(
                chance.choice(("descr", "fortran_order", "'", ":", "{")), text(chance)[:40]
            )
    if chance.random() < 0.3:  # the data that the header speaks of
        rest = rest[: 4 * _times(sides)] if _times(sides) < 4096 else rest
        rest = rest.ljust(min(4096, 4 * max(_times(sides), 0)), b"\0")
    return _npy_of(
        f"{start}'shape': ({', '.join(sides)}{',' * (len(sides) == 1)}), }}", rest, chance
    )


def _times(sides: list[str]) -> int:
    found = 1
    for one in sides:
        found *= int(one) if one.lstrip("-").isdigit() and len(one) < 30 else 1
    return found


def _npy_of(header: str, rest: bytes, chance: random.Random) -> bytes:
    version = chance.choice((1, 1, 1, 1, 1, 1, 2, 3, 4, 0, 255))
    encoded = header.encode(errors="replace") + b" " * (-(len(header) + 11) % 64) + b"\n"
    said = len(encoded) if chance.random() < 0.95 else near(len(encoded), chance)
    length = (
        struct.pack("<I", said % 2**32) if version in (2, 3) else struct.pack("<H", said % 2**16)
    )
    return b"\x93NUMPY" + bytes([version, 0]) + length + encoded + rest


# Where fields lie in the records of a zip: signature -> (offset, bytes).
FIELDS = {
    b"PK\3\4": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\1\2": ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2), (38, 4), (42, 4)),
    b"PK\5\6": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}  # fmt: skip


def archive(inside: Callable[[str], Mutator]) -> Mutator:
    """A mutator of zips whose members are changed by `inside(name)`, and then packed whole."""

    def change(data: bytes, chance: random.Random) -> bytes:
        if chance.random() < 0.3:
            return directory(data, chance)
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            members = [
                (one.filename, one.compress_type, opened.read(one)) for one in opened.infolist()
            ]
        at = chance.randrange(len(members))
        name, packing, held = members[at]
        match chance.randrange(10):
            case 0:
                del members[at]
            case 1:
                members[at] = (
                    chance.choice((text(chance), "../../" + name, "/" + name, name.upper())),
                    packing,
                    held,
                )
            case 2:
                members.append((name, packing, chance.choice((held, b""))))
            case 3:
                members[at] = (name, packing, chance.choice(members)[2])
            case 4:
                packing = chance.choice(
                    (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
                )
                members = [(one, packing, what) for one, _, what in members]
            case 5:
                chance.shuffle(members)
            case _:
                members[at] = (name, packing, inside(name)(held, chance))
        packed = _packed(members)
        return directory(packed, chance) if chance.random() < 0.1 else packed

    return change


def _packed(members: list[tuple[str, int, bytes]]) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as opened:
        warnings.simplefilter("ignore")  # a name that stands twice is meant
        for name, packing, held in members:
            member = zipfile.ZipInfo(name.replace("\0", "_")[:60_000])
            member.compress_type = packing
            opened.writestr(member, held)
    return stream.getvalue()


def directory(data: bytes, chance: random.Random) -> bytes:
    """One or two fields of the records that say what lies where."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2))):
        mark = chance.choice(list(FIELDS))
        found = [at for at in range(len(data) - 3) if data[at : at + 4] == mark] or [0]
        at, size = chance.choice(FIELDS[mark])
        at += chance.choice(found)
        old = int.from_bytes(changed[at : at + size], "little")
        value = near(old, chance) if chance.random() < 0.5 else whole(chance, size)
        changed[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
    return bytes(changed)


def npz_member(name: str) -> Mutator:
    """How a member of an .npz is damaged."""
    return npy


def torch_member(name: str) -> Mutator:
    """How a member of a .pt is damaged."""
    return opcodes if name.endswith(".pkl") else bytewise


GLOBALS = (
    "torch FloatStorage", "torch LongStorage", "torch BFloat16Storage", "torch ComplexFloatStorage", "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter", "torch._utils _rebuild_sparse_tensor", "torch Size", "collections OrderedDict", "builtins eval",
    "os system", "torch float32", "torch nosuch", "torch.nn Linear", "builtins set", "_codecs encode", "numpy dtype",
)  # fmt: skip


def opcodes(data: bytes, chance: random.Random) -> bytes:
    """The operations of a pickle: numbers, names, order."""
    try:
        places = [at for _, _, at in pickletools.genops(data) if at is not None]
    except ValueError:
        return bytewise(data, chance)
    steps = [data[first:last] for first, last in zip(places, [*places[1:], len(data)], strict=True)]
    for _ in range(chance.choice((1, 1, 2))):
        at = chance.randrange(len(steps))
        step = steps[at]
        match chance.randrange(6):
            case 0:
                steps[at] = b""
            case 1:
                steps.insert(at, chance.choice(steps))
            case 2:
                other = chance.randrange(len(steps))
                steps[at], steps[other] = steps[other], step
            case 3:
                numbers = [n for n, one in enumerate(steps) if one[:1] in b"KMJ" and one]
                if numbers:
                    steps[chance.choice(numbers)] = b"J" + struct.pack("<I", whole(chance, 4))
            case 4:
                names = [n for n, one in enumerate(steps) if one[:1] == b"c"]
                if names:
                    module, _, name = chance.choice(GLOBALS).partition(" ")
                    steps[chance.choice(names)] = f"c{module}\n{name}\n".encode()
            case _:
                words = [n for n, one in enumerate(steps) if one[:1] == b"X"]
                if words:
                    said = text(chance).encode()
                    steps[chance.choice(words)] = b"X" + struct.pack("<I", len(said)) + said
    return b"".join(steps)

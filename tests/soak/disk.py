"""A disk that can be listened to: every call that writes within a folder is told before it is made.

The calls are those of the operating system (open, write, fsync, rename, ...), whoever of Python's library makes
them: what listens may count them, note them down, or make one of them fail.
"""

import builtins
import contextlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

_NAMED = ("rename", "replace", "link", "unlink", "remove", "mkdir", "rmdir", "chmod", "truncate")
_KINDS = {"replace": "rename", "remove": "unlink", "ftruncate": "truncate"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call that changes the disk, or makes a change durable.

    Attributes:
        kind: open, write, fsync, close, rename, link, unlink, mkdir, rmdir, chmod or truncate.
        path: What it is made on; of a rename and a link, what there is already.
        to: Of a rename and a link, the new name.
        data: Of a write.
        offset: Of a write, where in the file; of a truncate, the size.
        fresh: Of an open, whether it makes the file.
    """

    kind: str
    path: Path
    to: Path | None = None
    data: bytes = b""
    offset: int = 0
    fresh: bool = False


Listener = Callable[[Call], None]


@contextlib.contextmanager
def listened(folder: Path, heard: Listener) -> Iterator[None]:
    """Tell of every call within the folder until the block ends; what `heard` raises, the call raises.

    A write that is made to fail leaves the first half of its bytes, as a full disk does. Nothing waits for a real
    disk: fsync is told and not made.
    """
    disk = _Disk(str(folder.resolve()), heard)
    with contextlib.ExitStack() as patches:
        for name in _NAMED:
            patches.enter_context(mock.patch.object(os, name, disk.named(name)))
        for name in ("fsync", "ftruncate"):
            patches.enter_context(mock.patch.object(os, name, disk.by_number(name)))
        patches.enter_context(mock.patch.object(os, "open", disk.opener(os.open)))
        for module in (io, builtins):
            patches.enter_context(mock.patch.object(module, "open", disk.open(io.open)))
        yield


class _Disk:
    """The functions of `os` and `io` that tell before they act."""

    def __init__(self, folder: str, heard: Listener) -> None:
        self._folder, self._heard = folder, heard

    def tell(self, kind: str, path: Any, **more: Any) -> None:
        """Tell of a call, if it is made within the folder."""
        if self.holds(path):
            self._heard(Call(kind, Path(os.fsdecode(path)), **more))

    def holds(self, path: Any) -> bool:
        """Whether a path lies in the folder."""
        name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - links stay as they are
        return name == self._folder or name.startswith(self._folder + os.sep)

    def named(self, name: str) -> Callable[..., Any]:
        """A function that takes paths."""
        real, kind = getattr(os, name), _KINDS.get(name, name)

        def call(path: Any, *more: Any, **options: Any) -> Any:
            full = _in_folder(path, options.get("dir_fd"))
            if kind in ("rename", "link"):
                self.tell(kind, full, to=Path(os.fsdecode(more[0])))
            else:
                self.tell(kind, full, offset=more[0] if kind == "truncate" else 0)
            return real(path, *more, **options)

        return call

    def by_number(self, name: str) -> Callable[..., None]:
        """A function that takes the number of an open file."""
        real, kind = getattr(os, name), _KINDS.get(name, name)

        def call(number: int, *more: Any) -> None:
            self.tell(kind, _opened(number), offset=more[0] if more else 0)
            if name != "fsync":
                real(number, *more)

        return call

    def opener(self, real: Callable[..., int]) -> Callable[..., int]:
        """`os.open`."""

        def call(path: Any, flags: int, *more: Any, **options: Any) -> int:
            full = _in_folder(path, options.get("dir_fd"))
            if flags & (os.O_WRONLY | os.O_RDWR) or Path(os.fsdecode(full)).is_dir():
                self.tell("open", full, fresh=bool(flags & os.O_CREAT))
            return real(path, flags, *more, **options)

        return call

    def open(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """`io.open`: a file that is written to tells of its writes."""

        def call(file: Any, mode: str = "r", *more: Any, **options: Any) -> Any:
            if isinstance(file, int) or not set(mode) & set("wax+") or not self.holds(file):
                return real(file, mode, *more, **options)
            if "b" not in mode:
                raise NotImplementedError(f"{file}: nothing in lacal writes text files")
            raw = _Told(self, file, mode.replace("b", ""))
            if (more[0] if more else options.get("buffering")) == 0:
                return raw
            return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)

        return call


class _Told(io.FileIO):
    """A file that tells of its writes, where they reach the system."""

    def __init__(self, disk: _Disk, path: Any, mode: str) -> None:
        self._disk, self._path = disk, path
        disk.tell("open", path, fresh=not Path(path).exists() or "w" in mode)
        super().__init__(path, mode)
        self._appends = "a" in mode

    def write(self, data: Any) -> int:
        """Tell, then write; half of it where that fails."""
        content = bytes(data)
        at = self.seek(0, os.SEEK_END) if self._appends else self.tell()
        try:
            self._disk.tell("write", self._path, data=content, offset=at)
        except OSError:
            super().write(content[: len(content) // 2])
            raise
        return super().write(content)

    def truncate(self, size: int | None = None) -> int:
        """Tell, then cut."""
        self._disk.tell("truncate", self._path, offset=self.tell() if size is None else size)
        return super().truncate(size)

    def close(self) -> None:
        """Close, and tell: an error of this call loses what was not flushed, never the number."""
        if not self.closed:
            super().close()
            self._disk.tell("close", self._path)


def _in_folder(path: Any, number: int | None) -> Any:
    """The whole path of one that is told relative to an open folder."""
    return path if number is None else Path(_opened(number)) / os.fsdecode(path)


def _opened(number: int) -> str:
    return os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115 - of a name that may be gone

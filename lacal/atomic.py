"""The one writer: a final file appears whole or not at all.

Temporary file in the target's own folder, write, flush, fsync, mode, rename, fsync of the folder. Links
are resolved first, so the link stays and its target is replaced. A temporary's name carries the process
id; leftovers of dead processes are swept by the next writer of the same file.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from io import BufferedWriter
from pathlib import Path

from lacal.errors import RunError, UsageError

# Characters of the target's name in its temporary's: names are capped at 255 bytes on most file
# systems, a character takes up to 4, and process id and suffix need 20.
_STEM = 50


def check_target(path: Path, *, force: bool, inputs: tuple[Path, ...] = ()) -> None:
    """Refuse a target that cannot or must not be written, before any long work.

    Raises:
        UsageError: It exists and `force` is off, is a folder, is one of the inputs, or its folder is
            missing.
        RunError: The folder cannot be written to.
    """
    target = _resolved(path)
    if target.is_dir():
        raise UsageError(f"{path}: is a folder; name the file to write")
    if target.parent.exists() and not target.parent.is_dir():
        raise UsageError(f"{path}: {path.parent} is not a folder; name another place")
    if not target.parent.is_dir():
        raise UsageError(f"{path}: folder {path.parent} does not exist; create it first")
    if target.exists():
        if any(given.exists() and target.samefile(given) for given in inputs):
            raise UsageError(
                f"{path}: is also an input and would be overwritten; name another file"
            )
        if not force:
            raise UsageError(f"{path}: exists already; add --force to replace it")
        if not stat.S_ISREG(target.stat().st_mode):
            raise UsageError(f"{path}: is not a regular file; name one that can be replaced")
    probe = _temporary(target)
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        # A read-only folder is the user's to mend, as a missing one is.
        raise UsageError(
            f"{path}: folder {path.parent} cannot be written to ({_reason(error)}); choose another"
        ) from error


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BufferedWriter]:
    """A binary file that becomes `path` when the block ends well, and vanishes when it does not.

    Raises:
        RunError: The disk is full or fails; the previous file, if any, is untouched.
    """
    target = _resolved(path)
    _sweep(target)
    temporary = _temporary(target)
    try:
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(_mode(target))
            temporary.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise RunError(
                f"{path}: could not be written ({_reason(error)}); nothing was changed, free some "
                "space or choose another place"
            ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{path}: is not a usable path ({error})") from error


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name[:_STEM]}.{os.getpid()}.lacal-tmp")


def _sweep(target: Path) -> None:
    """Remove temporaries of this target whose process is gone."""
    pattern = re.compile(re.escape(f".{target.name[:_STEM]}.") + r"(\d+)\.lacal-tmp")
    with contextlib.suppress(OSError):
        for leftover in target.parent.iterdir():
            if (match := pattern.fullmatch(leftover.name)) and not _alive(int(match[1])):
                leftover.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _mode(target: Path) -> int:
    """The old file's permissions, or what a plain `open` would have given."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return error.strerror or str(error).splitlines()[0]

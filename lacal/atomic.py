"""The one writer: a final file appears whole or not at all.

Temporary file in the target's own folder, write, flush, fsync, mode, rename, fsync of the folder. Links
are resolved first, so the link stays and its target is replaced. A temporary's name carries the host and
the process id; leftovers of this host's dead processes are swept by the next writer of the same file.
"""

import contextlib
import errno
import fnmatch
import glob
import os
import re
import secrets
import stat
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedWriter
from pathlib import Path

from lacal.errors import LacalError, RunError, UsageError
from lacal.formats.sniff import IMAGE_SUFFIXES, is_pattern

# Characters of the target's name in its temporary's: names are capped at 255 bytes on most file
# systems, a character takes up to 4, and host, process id, random part and suffix need 40.
_STEM = 50

# Where the process' own streams are: behind one may be a file, which would be replaced under it.
_STREAMS = ("/dev/std", "/dev/fd/", "/proc/self/fd/")

_TOO_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_FOLDER_SYNC = (errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def check_target(path: Path, *, force: bool, inputs: tuple[Path, ...] = ()) -> None:
    """Refuse a target that cannot or must not be written, before any long work.

    Raises:
        UsageError: It exists and `force` is off, is a folder, is one of the inputs or would be read
            as a part of one, or its folder is missing or cannot be written to.
        RunError: The disk is full or fails.
    """
    if str(path) == "-" or str(path).startswith(_STREAMS):
        raise UsageError("-: writing to stdout is not supported; name a file")
    target = _resolved(path)
    if target.is_dir():
        raise UsageError(f"{path}: is a folder; name the file to write")
    linked = path.is_symlink()
    folder = target.parent if linked else path.parent
    named = f"{path}: is a link to {target}, where" if linked else f"{path}:"
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{named} {folder} is not a folder; name another place")
    if not folder.is_dir():
        raise UsageError(f"{named} folder {folder} does not exist; create it first")
    for given in inputs:
        if identities([target]) & identities(_files(given)):
            raise UsageError(
                f"{path}: is also an input and would be overwritten; name another file"
            )
        if any(would_be_part(one, given) for one in (path, target)):
            raise UsageError(
                f"{path}: would be read as a part of the input {given}; name a file elsewhere"
            )
    if target.exists():
        if not force:
            raise UsageError(f"{path}: exists already; add --force to replace it")
        if not stat.S_ISREG(target.stat().st_mode):
            raise UsageError(f"{path}: is not a regular file; name one that can be replaced")
    probe = _temporary(target)
    try:
        try:
            probe.touch(exist_ok=False)
        finally:  # a signal may come in between
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise at_fault(error)(
            f"{named} folder {folder} cannot be written to ({_reason(error)}); choose another"
        ) from error


def at_fault(error: OSError) -> type[LacalError]:
    """A read-only folder is the user's to mend, as a missing one is; a full or failing disk is the machine's."""
    return RunError if error.errno in (*_TOO_FULL, errno.EIO) else UsageError


def check_room(path: Path, needed: int) -> None:
    """Refuse long work whose result the disk has no room for.

    Args:
        path: Where it will be; its folder is there.
        needed: Bytes that it takes at least.

    Raises:
        RunError: Less is free.
    """
    disk = os.statvfs(_resolved(path).parent)
    free = disk.f_bavail * disk.f_frsize
    if disk.f_blocks and free < needed:  # some file systems do not know how large they are
        raise RunError(
            f"{path}: the disk has no room for it; needed about {needed / 2**30:.3g} GiB, free {free / 2**30:.3g} "
            "GiB; free some space or choose another place"
        )


@contextlib.contextmanager
def writing(path: Path, *, replace: bool = True) -> Iterator[BufferedWriter]:
    """A binary file that becomes `path` when the block ends well, and vanishes when it does not.

    Args:
        path: The final name.
        replace: Replace a file of that name, also one that appeared since `check_target`.

    Raises:
        UsageError: A file of that name exists and is not to be replaced.
        RunError: The disk is full or fails; the previous file, if any, is untouched, unless the message says that
            the new one is in its place.
    """
    target = _resolved(path)
    sweep(target)
    temporary = _temporary(target)
    try:
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _publish(temporary, target, path, replace=replace)
        except OSError as error:
            raise _not_written(path, error) from error
        _confirm(target, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _publish(temporary: Path, target: Path, path: Path, *, replace: bool) -> None:
    """Give the whole file its mode and its final name."""
    temporary.chmod(_mode(target))
    if replace or not _linked(temporary, target, path):
        temporary.replace(target)


def _not_written(path: Path, error: OSError) -> RunError:
    space = "free some space or " if error.errno in _TOO_FULL else ""
    return RunError(
        f"{path}: could not be written ({_reason(error)}); nothing was changed, {space}choose another place"
    )


def _confirm(target: Path, path: Path) -> None:
    """Make the final name durable."""
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise RunError(
            f"{path}: is written and whole, but the disk did not confirm its name ({_reason(error)}); it may be "
            "gone after a power failure, check the disk and write it again"
        ) from error


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # ValueError: a NUL in the name
        raise UsageError(f"{path}: is not a usable path ({error})") from error


def _files(given: Path) -> list[Path]:
    """The files an input stands for: itself, its folder's, or those its pattern finds."""
    if given.is_dir():
        return list(given.iterdir())
    if is_pattern(given):
        return [Path(name) for name in glob.glob(str(given))]  # noqa: PTH207 - it may be absolute
    return [given]


def identities(paths: Iterable[Path]) -> set[tuple[int, int]]:
    """Device and inode of those paths that are there: what tells a file, whatever it is called."""
    found = set()
    for one in paths:
        with contextlib.suppress(OSError, ValueError):  # not there, or a NUL in its name
            status = one.stat()
            found.add((status.st_dev, status.st_ino))
    return found


def would_be_part(path: Path, given: Path) -> bool:
    """Whether a file written there would be found in the input's folder or by its pattern."""
    if given.is_dir():
        if identities([path.parent]) & identities([given]):
            return True
        # Images are found however deep they lie.
        return (
            path.name.lower().endswith(IMAGE_SUFFIXES)
            and given.resolve() in _resolved(path).parents
        )
    if not is_pattern(given) or not fnmatch.fnmatchcase(path.name, given.name):
        return False
    folders = glob.glob(str(given.parent))  # noqa: PTH207 - it may be absolute
    return bool(identities([path.parent]) & identities(map(Path, folders)))


def _linked(temporary: Path, target: Path, path: Path) -> bool:
    """Give the temporary its final name unless that is taken; False where links are not supported."""
    try:
        target.hardlink_to(temporary)
    except FileExistsError as error:
        raise UsageError(f"{path}: exists already; add --force to replace it") from error
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        return False
    return True


def _temporary(target: Path) -> Path:
    mark = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    return target.with_name(f".{target.name[:_STEM]}.{mark}.lacal-tmp")


def _host() -> str:
    """A short hash of this machine's name: a process id means nothing on another."""
    return f"{zlib.crc32(os.uname().nodename.encode(errors='replace')):08x}"


def sweep(path: Path) -> None:
    """Remove temporaries of this target whose process, of this host, is gone."""
    target = _resolved(path)
    start = re.escape(f".{target.name[:_STEM]}.{_host()}-")
    pattern = re.compile(start + r"(\d+)-[0-9a-f]{8}\.lacal-tmp")
    with contextlib.suppress(OSError):
        for leftover in target.parent.iterdir():
            if (match := pattern.fullmatch(leftover.name)) and not _alive(int(match[1])):
                leftover.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # pragma: no mutate - any other number is a real signal
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    with contextlib.suppress(OSError, IndexError):
        # A zombie is dead, though nobody has asked how it ended: usual in containers without an init.
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        return state not in "ZX"
    return True


def _mode(target: Path) -> int:
    """The old file's permissions, or what a plain `open` would have given."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def make_folder(folder: Path) -> None:
    """Make a folder whose name is durable, unless it is there.

    Raises:
        OSError: It cannot be made.
    """
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make renames within a folder durable, where it may be opened and the file system knows of such a thing."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # it may be written to and not be listed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return error.strerror or str(error).splitlines()[0]

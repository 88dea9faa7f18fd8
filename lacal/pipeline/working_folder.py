"""The folder beside a target where a long run keeps what it has finished: its name, its lock, its plan.

Only one live process may use it. Only what lacal put there is ever removed.
"""

import contextlib
import fcntl
import io
import json
import os
import shutil
import socket
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lacal.atomic import make_folder, writing
from lacal.errors import RunError, UsageError
from lacal.formats.shown import place, printable, reason
from lacal.pipeline.plans import plan_differences

# Of the folder's own layout; what another version of lacal left there is not gone on with.
LAYOUT = 1

_STEM = 50  # characters of the target's name in the folder's, as in the names of temporaries
# In this order: the journal tells of a published result to the last, and never without its plan.
_OURS = ("*.arrow", ".*.lacal-tmp", "whole", "replaced", "journal", "plan.json")


def working_folder(path: Path) -> Path:
    """Where the parts of a run lie whose result is to be `path`; hidden, so that no reader takes them.

    Raises:
        UsageError: There can be no such path.
    """
    try:
        target = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL in the name
        raise UsageError(f"{place(path)}: is not a usable path ({reason(error)})") from error
    stem = target.name
    if len(stem) > _STEM:  # two long names may begin alike
        stem = f"{stem[:_STEM]}.{zlib.crc32(os.fsencode(stem)):08x}"
    return target.with_name(f".{stem}.parts")


@contextlib.contextmanager
def locked(folder: Path, path: Path) -> Iterator[None]:
    """Make the folder if need be and keep other processes out of it until the block ends.

    Args:
        folder: The working folder.
        path: The target, for messages.

    Raises:
        RunError: Another process is at work there, or the folder cannot be made.
    """
    try:
        lock = _lock(folder, path)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the lock itself is gone all the same
            lock.close()


def clear(folder: Path) -> None:
    """Remove what a run left in the folder, but for the lock."""
    for pattern in _OURS:
        for one in folder.glob(pattern):
            if one.is_dir() and not one.is_symlink():
                shutil.rmtree(one)
            else:
                one.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Remove the folder as far as it can be; its owner must hold the lock."""
    with contextlib.suppress(OSError):
        clear(folder)
        (folder / "lock").unlink(missing_ok=True)
        folder.rmdir()


def write_plan(folder: Path, plan: Mapping[str, Any]) -> None:
    """Store what decides the bytes of this run."""
    with writing(folder / "plan.json") as file:
        file.write(json.dumps({"layout": LAYOUT, **plan}).encode())


def check_plan(folder: Path, plan: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with parts that were made in another way.

    Raises:
        UsageError: The plan differs; the entries are named.
    """
    new = json.loads(json.dumps({"layout": LAYOUT, **plan}))
    try:
        old = json.loads((folder / "plan.json").read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{place(path)}: the broken run's plan cannot be read; start anew with --force"
        ) from error
    if old == new:
        return
    told = plan_differences(old, new)
    some = "; ".join(told[:3])
    more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
    raise UsageError(
        f"{place(path)}: the broken run was another one: {some}{more}; "
        "run it as it was to go on with it, or start anew with --force"
    )


def unwritable(path: Path, error: OSError) -> RunError:
    """A full or failing disk, as atomic files say it."""
    cause = error.strerror or reason(error)
    return RunError(
        f"{place(path)}: could not be written ({cause}); free some space or choose another place"
    )


def _lock(folder: Path, path: Path) -> io.FileIO:
    while True:
        make_folder(folder)
        try:
            file = (folder / "lock").open("a+b", buffering=0)
        except FileNotFoundError:  # its owner removed the folder just now
            continue
        with contextlib.ExitStack() as failed:
            failed.callback(file.close)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise _in_use(file, path) from error
            except OSError:
                pass  # a file system without locks: better unguarded than not at all
            if _is_still(file, folder / "lock"):
                failed.pop_all()
                break
    with contextlib.suppress(OSError):  # whose it is, others would like to know, and no more
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
    return file


def _is_still(file: io.FileIO, name: Path) -> bool:
    """Whether the lock is the one others will find: its last owner may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), name.stat())
    except FileNotFoundError:
        return False


def _in_use(file: io.FileIO, path: Path) -> RunError:
    file.seek(0)
    owner = printable(file.read(200).decode(errors="replace")) or "another process"
    return RunError(
        f"{place(path)}: {owner} is writing it already; wait for it to end, or name another output"
    )

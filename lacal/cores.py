"""How many cores there are to work with."""

import os


def usable_cores() -> int:
    """Those that this process may use; all of them where the system does not tell which it may."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1

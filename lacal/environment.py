"""What a bug report needs: versions, the machine, what torch and onnxruntime can use, and settings in force.

torch and onnxruntime are asked in a process of their own: a broken installation may crash or hang as it is imported,
and the report is wanted most of all then. For the same reason nothing here imports a library.
"""

import difflib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lacal import __version__

# The libraries lacal names, by the extra that brings them; a distribution may come under other names.
LIBRARIES: dict[str | None, tuple[str, ...]] = {
    None: ("numpy", "scipy", "click", "pyarrow", "scikit-learn", "rich", "jinja2", "msgspec"),
    "onnx": ("onnxruntime", "onnx"),
    "torch": ("torch", "safetensors"),
    "images": ("Pillow",),
    "plots": ("matplotlib",),
}
OTHER_NAMES = {"onnxruntime": ("onnxruntime-gpu", "onnxruntime-directml", "ort-nightly")}

# Variables of others that change what lacal computes, or how it prints.
VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NO_COLOR",
    "FORCE_COLOR",
    "LANG",
    "LC_ALL",
)
ASK_SECONDS = 60

# Each prints one line of JSON, its last: what the runtime says of itself.
_ASKED = {
    "torch": """
import json, torch
available = torch.cuda.is_available()
print(json.dumps({
    "version": str(torch.__version__),
    "threads": torch.get_num_threads(),
    "cuda": torch.version.cuda,
    "devices": [
        f"{torch.cuda.get_device_name(i)}, {torch.cuda.get_device_properties(i).total_memory / 2**30:.0f} GiB"
        for i in range(torch.cuda.device_count() if available else 0)
    ],
}))
""",
    "onnxruntime": """
import json, os
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime
print(json.dumps({
    "version": str(onnxruntime.__version__),
    "providers": list(onnxruntime.get_available_providers()),
}))
""",
}


@dataclass(frozen=True, slots=True)
class Library:
    """A library that lacal uses.

    Attributes:
        name: As pip knows it.
        extra: The extra of lacal that brings it; None for one that always comes along.
        version: What is installed; None for nothing.
    """

    name: str
    extra: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class Runtime:
    """What torch or onnxruntime says of itself.

    Attributes:
        name: Its module.
        found: Version, and threads, cuda and devices of torch, or providers of onnxruntime; empty where it fails.
        fault: Why it cannot be imported; None where it can.
    """

    name: str
    found: dict[str, object]
    fault: str | None


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that is set.

    Attributes:
        name: Its name.
        value: Its value.
        fault: Why lacal does not read it, for one whose name begins with LACAL_; None where it does.
    """

    name: str
    value: str
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything a bug report needs.

    Attributes:
        lacal: Its version.
        location: The folder lacal is imported from.
        python: Version and implementation.
        platform: Operating system and machine.
        processor: The CPU's name; None where the system does not say.
        cpus: Cores this process may use, and those there are.
        memory: Bytes this process may use; None where the system does not say.
        libraries: Those lacal uses, installed or not.
        runtimes: torch and onnxruntime, where installed.
        variables: Environment variables that change what lacal does.
        encoding: Of stdout.
    """

    lacal: str
    location: str
    python: str
    platform: str
    processor: str | None
    cpus: tuple[int, int]
    memory: int | None
    libraries: tuple[Library, ...]
    runtimes: tuple[Runtime, ...]
    variables: tuple[Variable, ...]
    encoding: str


def environment(options: Iterable[str]) -> Environment:
    """Look at the machine and the installation.

    Args:
        options: Names of the variables that set lacal's options, LACAL_TUNE_TAU_SELECT and so on.
    """
    libraries = tuple(
        Library(name, extra, _version(name)) for extra, names in LIBRARIES.items() for name in names
    )
    installed = {one.name for one in libraries if one.version is not None}
    return Environment(
        lacal=__version__,
        location=str(Path(__file__).parent),
        python=f"{platform.python_version()} ({platform.python_implementation()})",
        platform=platform.platform(),
        processor=_processor(),
        cpus=(_usable_cpus(), os.cpu_count() or 1),
        memory=_memory(),
        libraries=libraries,
        runtimes=tuple(ask(name) for name in _ASKED if name in installed),
        variables=_variables(tuple(options)),
        encoding=sys.stdout.encoding,
    )


def ask(name: str) -> Runtime:
    """What torch or onnxruntime says of itself in a process of its own, however that ends."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-W", "ignore", "-c", _ASKED[name]],
            capture_output=True,
            timeout=ASK_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Runtime(name, {}, f"did not answer within {ASK_SECONDS} seconds")
    except OSError as error:
        return Runtime(name, {}, f"no process could be started to ask it ({error.strerror})")
    said, complaint = (text.decode(errors="replace").strip() for text in (done.stdout, done.stderr))
    if done.returncode < 0:
        return Runtime(name, {}, f"crashes when it is imported (signal {-done.returncode})")
    last = complaint.splitlines()[-1] if complaint else "it says nothing"
    if done.returncode:
        return Runtime(name, {}, f"cannot be imported: {last[:300]}")
    try:
        found = json.loads(said.splitlines()[-1])
        return Runtime(name, {**found, "version": str(found["version"])}, None)
    except (ValueError, IndexError, TypeError, KeyError):
        return Runtime(name, {}, f"answers with something else: {last[:300]}")


def _version(name: str) -> str | None:
    for one in (name, *OTHER_NAMES.get(name, ())):
        try:
            found = metadata.version(one)
        except metadata.PackageNotFoundError:
            continue
        found = found or "unknown"  # what an interrupted installation leaves may not say
        return found if one == name else f"{found} ({one})"
    return None


def _processor() -> str | None:
    """The CPU's name as Linux or the interpreter says it."""
    match = re.search(r"^model name\s*:\s*(.+)$", _text("/proc/cpuinfo"), flags=re.MULTILINE)
    return match[1].strip() if match else platform.processor() or None


def _usable_cpus() -> int:
    """Cores that this process may run on: by its affinity, and by the quota of its container."""
    usable = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota, _, period = _text("/sys/fs/cgroup/cpu.max").strip().partition(" ")
    if quota.isdigit() and period.isdigit():
        return max(1, min(usable, round(int(quota) / int(period))))
    return usable


def _memory() -> int | None:
    """Memory of the machine, or the share of it that the container may use."""
    match = re.search(r"^MemTotal:\s*(\d+) kB", _text("/proc/meminfo"), flags=re.MULTILINE)
    total = int(match[1]) * 1024 if match else None
    limit = _text("/sys/fs/cgroup/memory.max").strip()
    if limit.isdigit():
        return int(limit) if total is None else min(int(limit), total)
    return total


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _variables(options: tuple[str, ...]) -> tuple[Variable, ...]:
    """Those that are set: lacal's own, read or not, then others that matter."""
    own = sorted(name for name in os.environ if name.startswith("LACAL_"))
    return (
        *(Variable(name, os.environ[name], _unknown(name, options)) for name in own),
        *(Variable(name, os.environ[name]) for name in VARIABLES if name in os.environ),
    )


def _unknown(name: str, options: tuple[str, ...]) -> str | None:
    """Why a variable of lacal's prefix is not read; None where it is."""
    if name in options:
        return None
    close = difflib.get_close_matches(name, options, n=1)
    return "is no option of lacal." + (f" Did you mean {close[0]}?" if close else "")

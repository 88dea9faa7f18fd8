"""What `env` found, for a bug report and for scripts. Like `lacal.environment`, it imports no library."""

from lacal.environment import Environment, Library, Runtime

SCHEMA_VERSION = 1
GIB = 2**30


def environment_json(found: Environment, settings: dict[str, str | None]) -> dict[str, object]:
    """Everything, by name.

    Args:
        found: The machine and the installation.
        settings: Files that option values come from, and what is wrong with each.
    """
    usable, there = found.cpus
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "env",
        "lacal": found.lacal,
        "location": found.location,
        "python": found.python,
        "platform": found.platform,
        "processor": found.processor,
        "cpus": {"usable": usable, "total": there},
        "memory_bytes": found.memory,
        "libraries": [
            {"name": one.name, "extra": one.extra, "version": one.version}
            for one in found.libraries
        ],
        "runtimes": [
            {"name": one.name, "fault": one.fault, **_runtime_json(one)} for one in found.runtimes
        ],
        "settings": [{"place": place, "fault": fault} for place, fault in settings.items()],
        "variables": [
            {"name": one.name, "value": one.value, "fault": one.fault} for one in found.variables
        ],
        "encoding": found.encoding,
    }


def _runtime_json(one: Runtime) -> dict[str, object]:
    names = ("version", "threads", "cuda", "devices", "providers")
    return {name: one.found.get(name) for name in names}


def environment_text(found: Environment, settings: dict[str, str | None]) -> list[str]:
    """Lines to be pasted into a report: a name, then its value."""
    usable, there = found.cpus
    memory = "unknown" if found.memory is None else f"{found.memory / GIB:.1f} GiB"
    rows = [
        ("lacal", f"{found.lacal} in {found.location}"),
        ("python", found.python),
        ("platform", found.platform),
        ("processor", f"{found.processor or 'unknown'}, {usable} of {there} cores"),
        ("memory", memory),
        *((one.name, _library(one)) for one in found.libraries),
        *((f"{one.name} runs on", _runtime(one)) for one in found.runtimes),
        *(("settings", place if fault is None else f"broken: {fault}") for place, fault in settings.items()),
        *((one.name, _variable(one.value, one.fault)) for one in found.variables),
        ("encoding", found.encoding),
    ]  # fmt: skip
    width = max(len(name) for name, _ in rows)
    return [f"{escaped(name):<{width}}  {escaped(value)}" for name, value in rows]


def _library(one: Library) -> str:
    if one.version is not None:
        return one.version
    brings = "pip install lacal" if one.extra is None else f"pip install 'lacal[{one.extra}]'"
    return f"not installed; {brings} brings it"


def _runtime(one: Runtime) -> str:
    if one.fault is not None:
        return f"nothing: it {one.fault}"
    if one.name == "onnxruntime":
        providers = one.found.get("providers")
        return ", ".join(map(str, providers)) if isinstance(providers, list) else "unknown"
    devices = one.found.get("devices")
    listed = devices if isinstance(devices, list) else []
    cuda = one.found.get("cuda")
    built = "built without CUDA" if cuda is None else f"built for CUDA {cuda}"
    where = "; ".join(map(str, listed)) if listed else f"CPU, {one.found.get('threads')} threads"
    return f"{where} ({built})"


def _variable(value: str, fault: str | None) -> str:
    return value if fault is None else f"{value}   <- {fault}"


def escaped(text: str) -> str:
    """The text with control characters escaped: a variable may hold anything."""
    # As `formats.shown.printable`, which comes with NumPy; NumPy may be what is broken.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

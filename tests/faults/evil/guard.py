"""Command lines run under an audit hook: whatever would run a file's code is written down, and stopped.

A hook cannot be taken out of a process, so it lives in one of its own: `python -m tests.faults.evil.guard` loads the
libraries once, then forks for each command line that it reads. The allow-lists below name what lacal and its
libraries do of themselves, each with its reason; nothing in them depends on what a file says.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

from lacal.models.onnx.device import onnxruntime_library

# Loaded before the hook is set: what they do while they are imported is no file's doing.
LIBRARIES = (
    *("lacal.cli.main", "numpy", "pyarrow.parquet", "pyarrow.csv", "pyarrow.ipc", "onnx"),
    *("safetensors.numpy", "PIL.Image", "torch", "torch.export", "torch.export.passes", "sympy", "tomllib"),
    *("matplotlib.figure", "matplotlib.backends.backend_svg", "jinja2", "rich.console", "rich.table"),
    *("torch._export.serde.serialize", "torch.export.pt2_archive._package", "lacal.training.train"),
)  # fmt: skip

# Modules that make code, most of texts which they write themselves.
COMPILERS = {
    "typing": "a type that a source file names by a text",
    "dataclasses": "methods of a class, from the names of its fields",
    "collections": "methods of a named tuple, from the names of its fields",
    "functools": "cached properties and single dispatch",
    "inspect": "the signature of a builtin, from its docstring",
    "ast": "parses a literal, and runs nothing: the header of a .npy",
    "importlib._bootstrap": "imports a module that is installed",
    "importlib._bootstrap_external": "imports a module that is installed",
    "torch.fx.graph_module": "the forward of an exported graph, whose names and operators are checked before",
    "torch.fx._lazy_graph_module": "the same",
    "torch.fx.experimental.symbolic_shapes": "guards of an exported graph: comparisons of sizes, checked before",
    "torch.fx.experimental.proxy_tensor": "a function of so many arguments",
    "torch.fx.operator_schemas": "types of an operator's arguments, from torch's own schemas",
    "jinja2.environment": "lacal's own page",
    "torch.export._unlift": "guards of an exported graph: comparisons of sizes, checked before",
    "torch._export.serde.serialize": "sizes of an exported graph: arithmetic of integers, checked before",
    "sympy.core.sympify": "the same",
    "sympy.parsing.sympy_parser": "the same",
    "sympy.utilities.lambdify": "the same",
}
# Names that no code made of a file's text may use, whoever makes it.
FORBIDDEN = {
    *("__import__", "exec", "eval", "compile", "open", "getattr", "globals", "os", "sys", "mkdir", "system"),
    *("subprocess", "socket", "ctypes", "importlib", "builtins", "__subclasses__", "__globals__"),
}  # fmt: skip
FOLDERS = {
    "~/.config/matplotlib": "made by matplotlib when it is imported",
    "~/.cache/matplotlib": "its list of fonts, which takes seconds to make",
}
SECRETS = ("secret.bin", "secret.png", "passwd", "environ")
# What may be unpickled at all: nothing. (`torch.load` with weights_only has an unpickler of its own, without a hook.)
UNPICKLED: dict[tuple[str, str], str] = {}
LIBRARIES_OPENED = {
    None: "the process itself",
    "libcuda.so.1": "the driver, asked for the GPU's name",
}
NEVER = {
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn"),
    *("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "urllib.Request", "ftplib.connect"),
    *("shutil.unpack_archive", "webbrowser.open"),
    *("sys.settrace", "sys.setprofile", "builtins.breakpoint", "builtins.input"),
}  # fmt: skip
# Events of the file system and where in their arguments the paths lie.
CHANGES = {
    **dict.fromkeys(("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown"), (0,)),
    **dict.fromkeys(("os.utime", "os.setxattr", "os.removexattr", "os.chflags"), (0,)),
    **dict.fromkeys(("os.rename", "os.link", "shutil.move", "shutil.copyfile", "shutil.copytree"), (0, 1)),
    **dict.fromkeys(("os.symlink",), (1,)),
    **dict.fromkeys(("shutil.rmtree", "tempfile.mkdtemp", "tempfile.mkstemp"), (0,)),
}  # fmt: skip
INSTALLED = ("<frozen ", sys.prefix, sys.base_prefix, str(Path(__file__).parents[3]))
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command line.

    Attributes:
        code: Its exit code; negative for a signal.
        out: Its stdout.
        err: Its stderr.
        caught: What the hook saw and stopped, a sentence each.
        seconds: It took.
    """

    code: int
    out: str
    err: str
    caught: tuple[str, ...]
    seconds: float


class Guard:
    """A process that runs command lines under the hook; a context."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="guard")
        here = {"TMPDIR": self._folder.name, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        # Coverage would trace and write, which nothing here may.
        outside = {
            key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")
        }
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.faults.evil.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**outside, **here, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.kill()  # between two command lines; a forked process may hold its stdin open
        self._process.communicate()
        self._folder.cleanup()

    def run(self, folder: Path, arguments: Sequence[str]) -> Outcome:
        """Run a command line in a folder, the only one that it may write to but for temporaries."""
        asked = {"folder": str(folder), "arguments": list(arguments), "aside": self._folder.name}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        return Outcome(**{**told, "caught": tuple(told["caught"])})


class _Hook:
    """Looks at every audit event; what must not happen is written to a file and raises."""

    def __init__(self, allowed: tuple[str, ...], log: int) -> None:
        every = (*allowed, *map(os.path.expanduser, FOLDERS))
        self._allowed = tuple(os.path.realpath(one) for one in every)
        self._log = log
        self._busy = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy:  # what looking itself causes
            return
        self._busy = True
        try:
            fault = self._fault(event, arguments)
        finally:
            self._busy = False
        if fault is not None:
            os.write(self._log, f"{event}: {fault}"[:500].replace("\n", " ").encode() + b"\n")
            raise PermissionError(f"{event}: {fault}")

    def _fault(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        if event in NEVER:
            return repr(arguments)
        match event:
            case "exec" | "compile" | "marshal.loads" | "code.__new__" | "function.__new__":
                return self._of_code(event, arguments[0])
            case "pickle.find_class":
                return None if arguments in UNPICKLED else f"{arguments[0]}.{arguments[1]}"
            case "ctypes.dlopen":
                return None if arguments[0] in LIBRARIES_OPENED else str(arguments[0])
            case "import":
                # Of a module by its file: a shared library, or one that lies where data do.
                file = arguments[1]
                return str(file) if isinstance(file, str) and self._is_inside(file) else None
            case "open":
                path, _, flags = arguments
                secret = not isinstance(path, int) and Path(os.fsdecode(path)).name in SECRETS
                return str(path) if secret else self._outside(path) if flags & WRITES else None
        where = CHANGES.get(event, ())
        return next(filter(None, (self._outside(arguments[at]) for at in where)), None)

    def _of_code(self, event: str, code: object) -> str | None:
        """What is wrong with code that is about to be made or run."""
        if event == "exec" and isinstance(code, CodeType):
            file = code.co_filename
            from_text = file.startswith("<") and not file.startswith("<frozen ")
            if from_text and (used := FORBIDDEN & set(_names(code))):
                return f"code of {file} that uses {', '.join(sorted(used))}"
            if not from_text and self._is_inside(os.path.realpath(file)):
                return f"code of {file}"
            if not from_text and file.startswith(INSTALLED):
                return None
        frame: FrameType | None = sys._getframe(3)
        makers: list[str] = []
        while frame is not None and len(makers) < 4:
            makers.append(str(frame.f_globals.get("__name__")))
            frame = frame.f_back
        if any(one in COMPILERS for one in makers):
            return None
        return f"{str(code)[:80]}, by {' <- '.join(makers)}"

    def _outside(self, path: object) -> str | None:
        if isinstance(path, int) or path is None:  # a file that is open already
            return None
        named = Path(os.fsdecode(path)).absolute()  # type: ignore[arg-type]
        # A link may be removed, or made, for itself
        whole = str(named.parent.resolve() / named.name)
        return None if whole == os.devnull or self._is_inside(whole) else str(named)

    def _is_inside(self, path: str) -> bool:
        return any(os.path.commonpath([path, one]) == one for one in self._allowed)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _names(one)


def _serve() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    onnxruntime_library()
    for line in sys.stdin:
        asked = json.loads(line)
        aside = Path(asked["aside"])
        out, err, log = (aside / name for name in ("out", "err", "log"))
        began = time.monotonic()
        child = os.fork()
        if not child:
            _run(asked["arguments"], Path(asked["folder"]), aside, (out, err, log))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        told = {
            "code": code,
            "out": out.read_text(errors="replace"),
            "err": err.read_text(errors="replace"),
            "caught": log.read_text().splitlines(),
            "seconds": time.monotonic() - began,
        }
        print(json.dumps(told), flush=True)
    os._exit(0)  # taking all the libraries down in good order takes seconds


def _run(arguments: list[str], folder: Path, aside: Path, files: tuple[Path, ...]) -> None:
    code = 99
    try:
        out, err, log = (
            os.open(one, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND) for one in files
        )
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(folder)
        sys.addaudithook(_Hook((str(folder), str(aside)), log))
        from lacal.cli.main import main

        main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()

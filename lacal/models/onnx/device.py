"""Where an ONNX model runs: a session on the device asked for, and word of where it really went.

onnxruntime takes the CPU without a word where CUDA cannot be had, at the start and in mid-run. So what a
session got is looked at after it was made, and its own fallback is off.
"""

import contextlib
import ctypes
import io
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from lacal.cores import usable_cores
from lacal.errors import MissingExtra, RunError, UsageError
from lacal.formats.shown import place, printable
from lacal.models.model import ModelOptions, RunsOn
from lacal.models.onnx.faults import load_fault

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
SILENT = 4  # log severity: fatal only

# TF32 would move scores by about 1e-2. An exhaustive search picks the convolution by the clock, so that two
# runs, one of them resumed, could differ in their bits.
CUDA_SETTINGS = {"device_id": "0", "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


def onnxruntime_library() -> ModuleType:
    """The `onnxruntime` package, silenced: it prints nothing, and reports to nobody.

    Raises:
        MissingExtra: It is not installed.
    """
    # From 1.31 on it reports what it runs to its makers, and keeps a database in the user's cache, unless told not to
    # before it is imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtra("onnxruntime", "onnx", "running an ONNX model") from error
    onnxruntime.set_default_logger_severity(SILENT)
    module: ModuleType = onnxruntime
    return module


def open_session(
    path: Path,
    content: str | bytes,
    files: Mapping[str, bytes],
    options: ModelOptions,
    foreign: dict[str, str],
) -> tuple[Any, RunsOn]:
    """A session of onnxruntime, and where it runs.

    Args:
        path: The model's file, for messages.
        content: Path or bytes to load.
        files: External data by location; not needed any more once the session is made.
        options: Device, precision and threads.
        foreign: Custom domain -> an operator of it, to be named if onnxruntime does not know it.

    Raises:
        UsageError: Another precision than float32 was asked for.
        RunError: CUDA was asked for and cannot be had.
        OutOfMemory: The model does not fit into memory.
        DataError: onnxruntime does not take the model.
        MissingExtra: onnxruntime is not installed.
    """
    if options.precision != "float32":
        raise UsageError(
            f"{place(path)}: an ONNX file says itself what it computes in; got --precision "
            f"{options.precision}, expected float32; export the model in {options.precision} instead"
        )
    ort = onnxruntime_library()
    version: str = ort.__version__

    def made(*, cuda: bool) -> Any:
        try:
            return _session(ort, content, files, options.threads, cuda=cuda)
        except Exception as error:
            raise load_fault(path, error, version, foreign, cuda=cuda) from error

    if options.device == "cpu":
        return made(cuda=False), _runs_on("cpu", CPU, version)
    missing, notes = "has no CUDA in it", list[str]()
    if CUDA in ort.get_available_providers():
        try:
            session = made(cuda=True)
        except RunError:
            if options.device == "cuda":
                raise
            missing = "could not use CUDA for this model"
        else:
            nodes = _node_counts(session)
            if CUDA in session.get_providers() and nodes[CUDA]:
                count = f"CUDA runs {nodes[CUDA]} nodes, CPU {nodes[CPU]}"
                return session, _runs_on(_gpu(), CUDA, version, count)
            missing = "found no CUDA device, or not CUDA's libraries"
            if CUDA in session.get_providers():
                missing = "runs no operator of this model on CUDA"
        notes = [f"onnxruntime {version} {missing}; the model runs on the CPU"]
    if options.device == "cuda":
        raise RunError(
            f"{place(path)}: --device cuda cannot be had: onnxruntime {version} {missing}; install "
            "onnxruntime-gpu with the CUDA and cuDNN it was built for, or run with --device cpu"
        )
    return made(cuda=False), _runs_on("cpu", CPU, version, *notes)


def _session(
    ort: ModuleType,
    content: str | bytes,
    files: Mapping[str, bytes],
    threads: int | None,
    *,
    cuda: bool,
) -> Any:
    settings = ort.SessionOptions()
    settings.log_severity_level = SILENT
    settings.add_session_config_entry("session.load_model_format", "ONNX")  # else a suffix decides
    if threads is not None:
        settings.intra_op_num_threads = threads
        # Those that wait would busily keep the cores from those that work
        if threads > usable_cores():
            settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if files:
        sizes = [len(data) for data in files.values()]
        settings.add_external_initializers_from_files_in_memory(
            list(files), list(files.values()), sizes
        )
    providers: list[Any] = [CPU]
    if cuda:
        settings.use_deterministic_compute = True
        settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        providers = [(CUDA, CUDA_SETTINGS), CPU]
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it misses
            ort.preload_dlls()
    session = ort.InferenceSession(content, settings, providers=providers, enable_fallback=0)
    session.disable_fallback()
    return session


def _runs_on(device: str, provider: str, version: str, *notes: str) -> RunsOn:
    return RunsOn(device, provider, "float32", {"onnxruntime": version}, notes)


def _node_counts(session: Any) -> Counter[str]:
    """Provider -> how many nodes it runs."""
    nodes: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        nodes[part.ep_name] += len(part.get_nodes())
    return nodes


def _gpu() -> str:
    """The first GPU by the driver's own name for it; onnxruntime does not tell."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "cuda:0"
    return _named_by(driver)  # pragma: no cover - needs NVIDIA's driver


def _named_by(driver: Any) -> str:  # pragma: no cover - needs NVIDIA's driver
    device, name = ctypes.c_int(), ctypes.create_string_buffer(100)
    try:
        failed = driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0)
        failed = failed or driver.cuDeviceGetName(name, len(name), device)
    except AttributeError:
        return "cuda:0"
    return "cuda:0" if failed else f"cuda:0 ({printable(name.value.decode(errors='replace'))})"

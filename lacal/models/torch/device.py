"""Where a torch model runs: the device that was asked for, or an error, and word of it for the record."""

import warnings
from types import ModuleType
from typing import Any

from lacal.errors import RunError
from lacal.formats.shown import reason
from lacal.models.model import Device, ModelOptions, Precision, RunsOn

NO_GPU = "torch sees no CUDA device, so the model runs on the CPU"


def device_for(torch: ModuleType, wanted: Device) -> str:
    """Torch's name of the device: "cpu" or "cuda:0".

    Raises:
        RunError: CUDA was asked for and cannot be had; says why.
    """
    if wanted == "cpu":
        return "cpu"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if available:
        return "cuda:0"
    if wanted == "auto":
        return "cpu"
    if torch.version.cuda is None:
        why = f"torch {torch.__version__} is built without CUDA; install a build of torch with it"
    elif said:
        why = f"torch {torch.__version__} says: {reason(said[0].message)}"  # type: ignore[arg-type]
    else:
        why = f"torch {torch.__version__} finds no NVIDIA GPU or no driver for it; see nvidia-smi"
    raise RunError(f"--device cuda: there is no CUDA device here; {why}, or take --device cpu")


def set_up(torch: ModuleType, device: str, options: ModelOptions) -> None:
    """Settings of the whole process: threads, and no TF32, which would move scores by about 1e-3."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if device != "cpu":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


def in_precision(
    torch: ModuleType, module: Any, precision: Precision
) -> tuple[Any, Any, str | None]:
    """The module in the precision asked for, the type its inputs are to be of, and a note where it changed.

    Weights stored in half precision alone are widened for float32; a model of float64 stays one.
    """
    state = module.state_dict().items()
    # What lacal added to an adjusted model is float32 beside weights of any type.
    own = ("lacal_scale", "lacal_offset")
    held = [one for name, one in state if isinstance(one, torch.Tensor) and name not in own]
    types = {tensor.dtype for tensor in held if tensor.is_floating_point()}
    wanted = getattr(torch, precision)
    if precision == "float32" and types == {torch.float64}:
        return module, torch.float64, "its weights are float64, and it computes in float64"
    if types <= {wanted} or (precision == "float32" and wanted in types):
        return module, wanted, None
    stored = ", ".join(sorted(str(one).removeprefix("torch.") for one in types))
    note = f"its weights, stored in {stored}, were converted to {precision}"
    return module.to(wanted), wanted, note


def runs_on(torch: ModuleType, device: str, options: ModelOptions, note: str | None) -> RunsOn:
    """Where and how it runs, for the record."""
    versions = {"torch": str(torch.__version__)}
    shown, notes = device, [note] if note else []
    if device == "cpu":
        notes += [NO_GPU] * (options.device == "auto")
    else:  # pragma: no cover - needs a GPU
        shown = f"{device} ({torch.cuda.get_device_name(device)})"
        versions["cuda"] = str(torch.version.cuda)
        versions["cudnn"] = str(torch.backends.cudnn.version())
    return RunsOn(shown, "torch", options.precision, versions, tuple(notes))

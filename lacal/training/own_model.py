"""The user's own backbone, `--model package.module:factory`.

`factory(input_shape)` returns a `torch.nn.Module` that takes normalised examples (n, *input_shape) float32 and
gives features (n, d) float32; a class of modules is such a factory as well. It runs as the user's own code;
whatever it raises becomes a sentence that names the line.
"""

import contextlib
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from lacal.classes.names import near_miss, shown
from lacal.errors import Interruption, UsageError
from lacal.formats.shown import printable, reason
from lacal.models.trial import OF_LARGEST, OF_RANGE

EXPECTED = "expected PACKAGE.MODULE:FACTORY, such as my_nets:build"
PROMISE = "the factory takes the shape of one example and returns a torch.nn.Module"


def own_backbone(text: str, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The backbone that the user's factory builds, and the width d of its features.

    Args:
        text: `package.module:factory`; the module is looked for in the current folder first.
        input_shape: Of one example; what the factory is given.

    Raises:
        UsageError: There is no such module or factory, it fails, or what it builds gives no features (n, d)
            float32 for rows of zeros.

    The module's weights are the user's to draw; torch's global generator is seeded by then.
    """
    module_name, name = _names(text)
    what = f"--model: {printable(text)}"
    with _current_folder_first():
        factory = _factory(_module(module_name), module_name, name)
        with _faults(f"{what} failed on the shape {input_shape}", f"; {PROMISE}"):
            backbone = factory(input_shape)
        if not isinstance(backbone, nn.Module):
            raise UsageError(f"{what} returned {_described(backbone)}; {PROMISE}")
        return backbone, _width(backbone, input_shape, what)


def check_repeatable(features: Callable[[Tensor], Tensor], inputs: Tensor, text: str) -> None:
    """Refuse, before it is trained, a network whose features of a row do not come from that row alone.

    Args:
        features: Of a network in eval mode: (n, *input_shape) to (n, d).
        inputs: Some rows, on its device.
        text: What the user gave as --model.

    Raises:
        UsageError: The same rows gave other features in a second run, or with other rows beside them.
    """
    half = len(inputs) // 2
    with torch.no_grad():
        # Copies: a network may write into what it is given.
        first, again = features(inputs.clone()), features(inputs.clone())
        alone = features(inputs[:half].clone()) if half else first[:0]
    if not first.isfinite().all():
        return  # training stops at its loss and names what is not finite
    # A GPU may add up in another order.
    exact = inputs.device.type == "cpu"
    if not (torch.equal(first, again) if exact else _close(first, again)):
        raise UsageError(
            f"--model {printable(text)}: gives other features for the same rows when it runs again in eval mode; "
            "a random step, such as functional.dropout without training=self.training, or a count of its calls is "
            "likely; leave such steps out in eval mode"
        )
    if half and not _close(first[:half], alone):
        raise UsageError(
            f"--model {printable(text)}: features of a row change with the rows beside it in eval mode; a mean over "
            "the batch, or batch normalisation without running statistics, is likely; take each row's features from "
            "that row alone"
        )


def _close(first: Tensor, second: Tensor) -> bool:
    """As models are compared that come in files."""
    spread = float(first.max() - first.min())
    allowed = max(OF_RANGE * spread, OF_LARGEST * float(first.abs().max()))
    return float((first - second).abs().max()) <= allowed


def _names(text: str) -> tuple[str, str]:
    module, _, factory = text.partition(":")
    parts = [*module.split("."), factory]
    if module.endswith(".py") or "/" in module or "\\" in module:
        stem = module.removesuffix(".py").replace("\\", "/").strip("./").replace("/", ".")
        raise UsageError(
            f"--model: got the file {shown(module)}, {EXPECTED}; run lacal in the folder that {shown(stem)} "
            f"starts from and write {printable(stem)}:{printable(factory or 'build')}"
        )
    if not all(part.isidentifier() for part in parts):
        raise UsageError(f"--model: got {shown(text)}, {EXPECTED}")
    return module, factory


def _module(name: str) -> ModuleType:
    what = f"--model: module {shown(name)}"
    try:
        with _faults(f"{what} cannot be imported"):
            return importlib.import_module(name)
    except UsageError as error:
        missing = error.__cause__
        if not isinstance(missing, ModuleNotFoundError) or missing.name is None:
            raise
        if name == missing.name or name.startswith(f"{missing.name}."):
            here = tuple(sorted(path.stem for path in Path.cwd().glob("*.py")))
            raise UsageError(
                f"{what} is neither in the current folder nor installed; {EXPECTED}.{near_miss(name, here)}"
            ) from missing
        raise


def _factory(module: ModuleType, module_name: str, name: str) -> Callable[[tuple[int, ...]], Any]:
    factory = getattr(module, name, None)
    if factory is None and not hasattr(module, name):
        known = tuple(one for one in vars(module) if not one.startswith("_"))
        raise UsageError(
            f"--model: module {shown(module_name)} has no {shown(name)}.{near_miss(name, known)}"
        )
    if not callable(factory):
        raise UsageError(
            f"--model: {shown(name)} of module {shown(module_name)} is {_described(factory)}; {PROMISE}"
        )
    if isinstance(factory, nn.Module):
        raise UsageError(
            f"--model: {shown(name)} of module {shown(module_name)} is a network already built; {PROMISE}"
        )
    return factory  # type: ignore[no-any-return]


def _width(backbone: nn.Module, input_shape: tuple[int, ...], what: str) -> int:
    """d, seen on batches of two sizes, in eval mode so that nothing in the backbone moves."""
    backbone.eval()
    widths = [_features_of(backbone, (rows, *input_shape), what) for rows in (2, 3)]
    backbone.train()
    if widths[0] != widths[1]:
        raise UsageError(
            f"{what} gives {widths[0]} features for 2 rows and {widths[1]} for 3; the number of features "
            "must not depend on the batch"
        )
    return widths[0]


def _features_of(backbone: nn.Module, shape: tuple[int, ...], what: str) -> int:
    with torch.no_grad(), _faults(f"{what} built a network that fails on zeros of shape {shape}"):
        features = backbone(torch.zeros(shape))
    wanted = f"expected features ({shape[0]}, d) float32"
    if not isinstance(features, torch.Tensor):
        raise UsageError(f"{what} built a network that gives {_described(features)}; {wanted}")
    got = f"{str(features.dtype).removeprefix('torch.')} {tuple(features.shape)}"
    if (
        features.dim() != 2
        or features.shape[0] != shape[0]
        or features.shape[1] == 0
        or features.dtype != torch.float32
    ):
        hint = (
            "; flatten or pool what comes before the head"
            if features.dim() > 2 and features.shape[0] == shape[0]
            else ""
        )
        raise UsageError(
            f"{what} built a network that gives {got} for {shape[0]} rows; {wanted}{hint}"
        )
    return int(features.shape[1])


@contextlib.contextmanager
def _current_folder_first() -> Iterator[None]:
    """As `python -m` has it; a console script does not."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the user's code may have changed the path itself
            sys.path.remove(folder)


@contextlib.contextmanager
def _faults(what: str, end: str = "") -> Iterator[None]:
    """The one seam for the user's code: it raises whatever it likes."""
    try:
        yield
    except (KeyboardInterrupt, Interruption):
        raise
    except BaseException as error:  # SystemExit, GeneratorExit, and kinds of its own
        kind, why = type(error).__name__, reason(error)
        said = kind if why == kind else f"{kind}: {why}"
        raise UsageError(f"{what} ({said}{_line_of(error)}){end}") from error


def _line_of(error: BaseException) -> str:
    """Where in the user's code it was raised: the last frame that is not a library's, nor lacal's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f", {printable(Path(error.filename).name)} line {error.lineno}"
    folder, lacal = Path.cwd(), Path(__file__).parents[1]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        ours = path.is_relative_to(lacal) or "site-packages" in path.parts
        if path.is_relative_to(folder) and not ours:
            return f", {printable(str(path.relative_to(folder)))} line {frame.lineno}"
    return ""


def _described(value: object) -> str:
    """What a value is, for the user."""
    if value is None:
        return "nothing (None)"
    if isinstance(value, type):
        return f"the class {printable(value.__name__)}"
    return f"a value of type {printable(type(value).__name__)}"

"""A TorchScript module or an exported program, run by torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.classes.names import shown
from lacal.errors import DataError, LacalError
from lacal.formats.shown import place
from lacal.models.batching import fixed_rows
from lacal.models.kind import require_model
from lacal.models.model import Model, ModelKind, ModelOptions, Port, RunsOn
from lacal.models.torch.archive import archive_class_names, archive_note, archive_training
from lacal.models.torch.device import device_for, in_precision, runs_on, set_up
from lacal.models.torch.faults import run_fault
from lacal.models.torch.load import (
    load_errors,
    load_program,
    load_script,
    torch_module,
    user_inputs,
)
from lacal.models.torch.outputs import (
    ONLY,
    chosen_output,
    described,
    give_output,
    named_tensors,
    refuse_script_probabilities,
)
from lacal.trained import TrainingRecord


@dataclass(slots=True)
class TorchModel:
    """An opened torch model; see `lacal.models.Model`.

    The output of TorchScript that returns several is chosen when it has run once.
    """

    path: Path
    kind: ModelKind
    inputs: tuple[Port, ...]
    output: str
    batch_size: int | None
    class_names: tuple[str, ...] | None
    calibration: str | None
    training: TrainingRecord | None
    runs_on: RunsOn
    _torch: ModuleType
    _forward: Callable[..., Any]
    _device: str
    _computes_in: Any  # torch.dtype
    _float32: Any  # torch.float32, looked up once
    _place: str | None  # of the scores among what it returns; None until it has run
    _choose: Callable[[dict[str, Any]], str]

    def run(self, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Scores of one batch (n, k), float32 or float64, owned by the caller.

        Args:
            inputs: One array (n, ...) for each of `self.inputs`, native byte order.

        Raises:
            OutOfMemory: A smaller batch may fit.
            RunError: Torch failed.
            DataError: The model does not take these inputs, or gives no (n, k) scores.
        """
        scores = self.run_on_device(inputs)
        if self._device == "cpu":
            # A model may give back what it was given, or a tensor of its own.
            owned: NDArray[Any] = np.array(scores.numpy(), order="C")
            return owned
        return self._fetched(scores, inputs)  # pragma: no cover - needs a GPU

    def _fetched(
        self, scores: Any, inputs: Sequence[NDArray[Any]]
    ) -> NDArray[Any]:  # pragma: no cover - needs a GPU
        try:
            return np.ascontiguousarray(scores.cpu().numpy())
        except Exception as error:
            raise self._fault(error, inputs) from error

    def run_on_device(self, inputs: Sequence[NDArray[Any]]) -> Any:
        """The same scores as a torch.Tensor on the device of the model, not copied; see `run`."""
        if len(inputs) != len(self.inputs):
            raise DataError(
                f"{place(self.path)}: got {len(inputs)} arrays, expected one for each of its "
                f"{len(self.inputs)} inputs"
            )
        rows = inputs[0].shape[0] if inputs[0].ndim else 0
        try:
            result = self._forward(*[self._tensor(array) for array in inputs])
            # A small model runs in microseconds, so the common case is told by a few comparisons.
            usual = type(result) is self._torch.Tensor and result.dtype is self._float32
            usual = usual and result.dim() == 2 and len(result) == rows
            if usual and self._place is not None and not result.requires_grad:
                return result
            return self._scores(result, rows)
        except LacalError:
            raise
        except Exception as error:
            raise self._fault(error, inputs) from error

    def _fault(self, error: Exception, inputs: Sequence[NDArray[Any]]) -> LacalError:
        """What torch raised in a run, in lacal's words."""
        precision = self.runs_on.precision
        return run_fault(self.path, self._torch, error, inputs, self._device, precision)

    def _scores(self, result: Any, rows: int) -> Any:
        """The scores (rows, k) among what the model returned."""
        if not isinstance(result, self._torch.Tensor):
            outputs = dict(named_tensors(result))
            if self._place is None:
                self._place = self.output = self._choose(outputs)
            result = outputs.get(self._place)
        elif self._place is None:
            self._place = self._choose({ONLY: result})
        tensor = isinstance(result, self._torch.Tensor)
        if not tensor or not result.is_floating_point() or not _paired(result.shape, rows):
            raise DataError(
                f"{place(self.path)}: output {shown(self.output)} is {described(result)} for a batch of "
                f"{rows:,} rows; expected floating-point scores ({rows}, classes)"
            )
        if result.element_size() < 4:
            result = result.float()
        return result.detach() if result.dim() == 2 else result.detach().reshape(result.shape[:2])

    def _tensor(self, array: NDArray[Any]) -> Any:
        if not array.flags.writeable or not array.flags.c_contiguous:
            # A model may write into its input, and torch knows no read-only memory
            array = array.copy()
        tensor = self._torch.from_numpy(array)
        if self._device != "cpu":  # pragma: no cover - needs a GPU
            tensor = tensor.pin_memory().to(self._device, non_blocking=True)
        if tensor.is_floating_point() and tensor.dtype != self._computes_in:
            tensor = tensor.to(self._computes_in)
        return tensor


def open_torch_model(path: Path, options: ModelOptions) -> Model:
    """Open TorchScript or an exported program on the device asked for.

    Args:
        path: The .pt or .pt2 file.
        options: Output, device, precision, trust and threads.

    Raises:
        DataError: The file is damaged, gives no scores, or was made for another device.
        UsageError: It needs --trust-model or --output, or gives probabilities.
        MissingExtra: torch is not installed.
        RunError: The device cannot be had.
    """
    kind = require_model(path)
    calibration, class_names = archive_note(path), archive_class_names(path)
    training = archive_training(path)
    torch = torch_module()
    device = device_for(torch, options.device)
    set_up(torch, device, options)
    opened = _opened_program if kind == "exported" else _opened_script
    module, layout, inputs, output, taken = opened(path, torch, options, device)
    with load_errors(path):
        module, computes_in, note = in_precision(torch, module, options.precision)
        # Nothing requires a gradient, so none is prepared: as in inference mode, without entering it for
        # every batch.
        for parameter in module.parameters():
            parameter.requires_grad_(False)

    def choose(outputs: dict[str, Any]) -> str:
        name = chosen_output(path, torch, outputs, options.output)
        refuse_script_probabilities(path, module.inlined_graph, None if name == ONLY else name)
        return name

    return TorchModel(
        path=path,
        kind=kind,
        inputs=inputs,
        output=output,
        batch_size=_fixed_batch(path, inputs),
        class_names=class_names,
        calibration=calibration,
        training=training,
        runs_on=runs_on(torch, device, options, note),
        _torch=torch,
        _forward=_called_with(torch, module, layout, len(inputs)),
        _device=device,
        _computes_in=computes_in,
        _float32=torch.float32,
        _place=taken,
        _choose=choose,
    )


# The module, the layout of its arguments where it has one, inputs, name and place of its output.
Opened = tuple[Any, Any, tuple[Port, ...], str, str | None]


def _opened_script(path: Path, torch: ModuleType, options: ModelOptions, device: str) -> Opened:
    module = load_script(path, options.trust, device)
    with load_errors(path):
        if not hasattr(module, "forward"):
            raise DataError(f"{place(path)}: has no forward method; save the whole model")
        arguments = module.forward.schema.arguments[1:]
        if str(module.forward.schema.returns[0].type) == "Tensor":
            refuse_script_probabilities(path, module.inlined_graph, None)
            chosen_output(path, torch, {ONLY: module}, options.output or ONLY)
    needed = [argument for argument in arguments if not argument.has_default_value()]
    for argument in needed:
        if str(argument.type) != "Tensor":
            raise DataError(
                f"{place(path)}: needs argument {shown(argument.name)} of type {shown(str(argument.type))}; "
                "expected tensors alone; wrap it in a module that takes only those"
            )
    ports = tuple(Port(argument.name, None, None) for argument in needed)
    return module, None, ports, options.output or ONLY, None


def _opened_program(path: Path, torch: ModuleType, options: ModelOptions, device: str) -> Opened:
    program = load_program(path, options.trust, device)
    fakes = user_inputs(program)
    for name, fake in fakes.items():
        if not isinstance(fake, torch.Tensor):
            raise DataError(
                f"{place(path)}: input {shown(name)} is no tensor; expected tensors alone; export the "
                "model without it"
            )
    with load_errors(path):
        module = program.module()
    output, taken = give_output(path, torch, module, options.output)
    ports = tuple(_port(torch, name, fake) for name, fake in fakes.items())
    return module, program.call_spec.in_spec, ports, output, taken


def _called_with(torch: ModuleType, module: Any, layout: Any, count: int) -> Callable[..., Any]:
    """The module as a function of tensors alone, where it takes dicts or lists of them or names."""
    if layout is None:
        return module  # type: ignore[no-any-return]
    unflatten = torch.utils._pytree.tree_unflatten
    if unflatten(range(count), layout) == (tuple(range(count)), {}):
        return module  # type: ignore[no-any-return]

    def called(*tensors: Any) -> Any:
        arguments, named = unflatten(tensors, layout)
        return module(*arguments, **named)

    return called


def _port(torch: ModuleType, name: str, fake: Any) -> Port:
    # Half precision is widened or narrowed on the way in, and NumPy has no bfloat16.
    half = fake.dtype in (torch.float16, torch.bfloat16)
    dtype = "float32" if half else str(fake.dtype).removeprefix("torch.")
    return Port(name, dtype, tuple(s if isinstance(s, int) else None for s in fake.shape))


def _fixed_batch(path: Path, ports: tuple[Port, ...]) -> int | None:
    sizes = {port.shape[0] for port in ports if port.shape} - {None}
    if len(sizes) > 1:
        every = ", ".join(f"{port.shape[0]} by {shown(port.name)}" for port in ports if port.shape)
        raise DataError(
            f"{place(path)}: its inputs declare no batch size in common; got {every}; export it with a "
            "dynamic first side"
        )
    return fixed_rows(path, next(iter(sizes), None))


def _paired(shape: Sequence[int], rows: int) -> bool:
    """Whether a shape is (rows, classes), sides of 1 behind being dropped."""
    return len(shape) >= 2 and shape[0] == rows and all(side == 1 for side in shape[2:])

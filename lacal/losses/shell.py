"""`ClassLoss`: a row of the loss table as a module, the class statistics its buffers; and deferred re-weighting."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from lacal.batch import PerClass
from lacal.classes.names import near_miss, shown
from lacal.errors import DataError, UsageError
from lacal.loss_table import LOSSES, LossRow, Value, options_of
from lacal.losses.pairwise import (
    at_least_float32,
    class_weighted,
    cross_entropy,
    mean_cross_entropy,
)
from lacal.losses.rows import ROWS, Built, Given
from lacal.losses.statistics import checked_class_counts, effective_number_weights
from lacal.named_options import settled_options


class ClassLoss(nn.Module):
    """A loss of the table, made by `make_loss` for the counts of one training set.

    Attributes:
        name: Of the row.
        row: What it is.
        options: All of its options, with values.
        weights: Buffer (k,), the class weights now in force; ones but for weighted losses, and for deferred
            re-weighting once it has begun.
    """

    name: str
    row: LossRow
    options: dict[str, Value]
    weights: Tensor

    def __init__(
        self, name: str, options: dict[str, Value], built: Built, class_counts: PerClass
    ) -> None:
        super().__init__()
        self.name = name
        self.row = LOSSES[name]
        self.options = options
        self._losses = built.losses
        self._statistics = tuple(built.statistics)
        for statistic, values in built.statistics.items():
            self.register_buffer(statistic, _buffer(values))
        deferred = float(options.get("drw", 0.0)) > 0
        if deferred:
            beta = float(options["drw_beta"])
            later = effective_number_weights(class_counts, beta)
            self.register_buffer("deferred_weights", _buffer(later))
        ones = np.ones(class_counts.size)
        self.register_buffer("weights", _buffer(ones if built.weights is None else built.weights))
        # Settled here, not read off the weights in every step: that would make the host wait for the device.
        self._weighs = deferred or built.weights is not None
        self._by_rows = options.get("normalise") == "rows"

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over the batch, (): `sum(weights_y loss) / sum(weights_y)`, or with normalise=rows divided by n.

        Args:
            logits: (n, k) floating, n at least 1.
            labels: (n,) int64 in 0..k-1. On a GPU their range is not looked at, which would make the host wait: one
                outside it fails there, later, as a device-side assertion.

        Raises:
            DataError: Shapes or types are others, or on the CPU a label is out of range.
        """
        self._check(logits, labels)
        try:
            return self._mean(logits, labels)
        except (IndexError, RuntimeError) as error:
            raise _out_of_range(labels, logits.shape[1]) or error from None

    def unreduced(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The losses of the rows, (n,), times the weights of their classes. Arguments and errors as of `forward`."""
        self._check(logits, labels)
        try:
            return self._each(logits, labels)
        except (IndexError, RuntimeError) as error:
            raise _out_of_range(labels, logits.shape[1]) or error from None

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Put the weights of an epoch in force: those of deferred re-weighting from where `drw` says.

        Args:
            epoch: About to begin, the first being 0.
            epochs: Of the whole run.

        Raises:
            UsageError: The weights would never come into force.
        """
        drw = float(self.options.get("drw", 0.0))
        if drw == 0:
            return
        # 0.8 of 200 is 160; the little that is added makes up for shares that floats cut short, 0.29 of 100.
        begins = int(drw * epochs + 1e-9) if drw < 1 else drw
        if begins >= epochs:
            raise UsageError(
                f"loss {self.name}: drw {drw:g} puts the deferred weights off to epoch {begins:g} of {epochs}, the first "
                "being 0, and so for ever; expected less, or a share below 1 such as 0.8"
            )
        if epoch >= begins:
            self.weights.copy_(self.deferred_weights)
        else:
            self.weights.fill_(1)

    def extra_repr(self) -> str:
        """Name and options."""
        return ", ".join([self.name, *(f"{name}={value}" for name, value in self.options.items())])

    def _mean(self, logits: Tensor, labels: Tensor) -> Tensor:
        weights = self.weights if self._weighs and not self._by_rows else None
        if self._losses is None and not self._by_rows:
            # With its mean in the same kernel: a step of a small network would feel the others.
            return mean_cross_entropy(self._shifted(logits), labels, weights)
        losses = self._each(logits, labels)
        if weights is None:
            return losses.mean()
        return losses.sum() / weights.index_select(0, labels).sum()

    def _each(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self._losses is None:
            losses = cross_entropy(self._shifted(logits), labels)
        else:
            statistics = {name: getattr(self, name) for name in self._statistics}
            losses = self._losses(logits, labels, **statistics)
        return class_weighted(losses, labels, weights=self.weights) if self._weighs else losses

    def _shifted(self, logits: Tensor) -> Tensor:
        wide = at_least_float32(logits)
        return wide + self.offsets if self._statistics else wide

    def _check(self, logits: Tensor, labels: Tensor) -> None:
        """Refuse what would be broadcast or cast in silence, from shapes and types alone."""
        classes = self.weights.shape[0]
        if logits.ndim != 2 or logits.shape[1] != classes or not logits.is_floating_point():
            raise DataError(
                f"logits: got {logits.dtype} of shape {tuple(logits.shape)}; expected floating (n, {classes}), a column "
                f"for each of the {classes} class counts"
            )
        if labels.shape != logits.shape[:1] or labels.dtype != torch.int64:
            raise DataError(
                f"labels: got {labels.dtype} of shape {tuple(labels.shape)}; expected torch.int64 of shape "
                f"({logits.shape[0]},), one for each row of the logits"
            )
        if logits.shape[0] == 0:
            raise DataError(
                "logits: the batch has no row, which has no mean; leave empty batches out"
            )


def make_loss(
    name: str,
    class_counts: ArrayLike,
    options: Mapping[str, Value] | None = None,
    *,
    scale: float | None = None,
) -> ClassLoss:
    """A loss of `lacal.loss_table.LOSSES` for the counts of a training set.

    Args:
        name: Of the row.
        class_counts: (k,) above 0, of the stream that is trained on; expected numbers where a sampler draws it.
        options: The row's, by name; the rest keep their defaults.
        scale: s of the cosine head, whose logits are s * cos; None for another head.

    Raises:
        UsageError: No such loss or option, a value outside its range, or another head than the loss needs.
        DataError: Counts that are none.

    Example:
        >>> loss = make_loss("logit-adjusted", [90, 10])
        >>> round(loss(torch.zeros(2, 2), torch.tensor([0, 1])).item(), 4)  # -(log 0.9 + log 0.1) / 2
        1.204
    """
    if name not in LOSSES:
        raise UsageError(
            f"there is no loss {shown(name)}; expected one of: {', '.join(LOSSES)}."
            + near_miss(name, tuple(LOSSES))
        )
    counts = checked_class_counts(class_counts)
    settled = settled_options(options_of(name), options or {}, f"loss {name}")
    if LOSSES[name].head == "cosine" and not (scale is not None and 0 < scale < float("inf")):
        raise UsageError(
            f"loss {name} needs a cosine head, whose logits are s * cos, and its scale s above 0; got "
            f"{'another head' if scale is None else f'scale {scale:g}'}; give scale=s, as lacal train does with --head cosine"
        )
    given = Given(counts, settled, 1.0 if scale is None else scale)
    # What float32 cannot hold is refused by its name
    with np.errstate(over="ignore", under="ignore"):
        built = ROWS[name](given)
    _check_range(name, built)
    return ClassLoss(name, settled, built, counts)


def _buffer(values: NDArray[Any]) -> Tensor:
    """As float32, which logits are computed in at the least; flags stay flags."""
    dtype = torch.bool if values.dtype == np.bool_ else torch.float32
    return torch.as_tensor(values, dtype=dtype)


def _check_range(name: str, built: Built) -> None:
    """Refuse options so large that a statistic is infinite, or a weight 0, in float32."""
    for statistic, values in built.statistics.items():
        if not torch.isfinite(_buffer(values)).all():
            raise UsageError(f"loss {name}: its {statistic} overflow; expected options nearer 0")
    if built.weights is not None:
        weights = _buffer(built.weights)
        if not (torch.isfinite(weights) & (weights > 0)).all():
            raise UsageError(
                f"loss {name}: its class weights run from {built.weights.min():.3g} to {built.weights.max():.3g}, "
                "which 32 bits do not hold; expected options nearer their defaults"
            )


def _out_of_range(labels: Tensor, classes: int) -> DataError | None:
    """What to say if a label caused an error on the CPU; None where it was something else."""
    if labels.device.type != "cpu":
        return None  # pragma: no cover - on a GPU, where such a label is an assertion that ends the context
    bad = labels[(labels < 0) | (labels >= classes)]
    if not bad.numel():
        return None
    return DataError(
        f"labels: {bad.numel()} of {labels.numel()} are out of range, such as {int(bad[0])}; expected 0..{classes - 1}"
    )

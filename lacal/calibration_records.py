"""What a calibration file says of the validation rows: of a search for tau, or of a fit by log loss."""

import msgspec

Vector = list[float]


class PlateauRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The exact optimum; an end is null where nothing bounds the plateau."""

    low: float | None
    high: float | None
    balanced_error: float


class EstimateRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


class CrossFitRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The gain on rows that did not choose tau."""

    gain: float
    standard_error: float
    taus: Vector


class TunedOn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The validation rows: their fingerprint, and what the search saw on them."""

    rows: int
    labelled: int
    classes_present: int
    digest: str
    sketch: list[str]
    repeats: float
    unadjusted_error: float
    balanced_error: float
    grid: Vector
    curve: Vector
    optimum: PlateauRecord
    picks: dict[str, float]
    tau: EstimateRecord
    gain: EstimateRecord
    cross_fitted: CrossFitRecord
    draws: int
    seed: int


class FittedOn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The validation rows of a fit by balanced log loss: their fingerprint, and what the fit saw on them.

    Attributes:
        ridge: What the parameters were held with; null for none, or for an infinite one that lets nothing move.
        ridges: Those that cross-validation tried, from strong to weak, after the infinite one.
        held_out: Balanced log loss of held-out rows, in nats: of the infinite ridge, then of each of `ridges`.
        log_loss: Of all rows, at the fit.
        log_loss_before: The same of `logits / tau - log_prior`, which is not fitted class by class.
    """

    rows: int
    labelled: int
    classes_present: int
    digest: str
    sketch: list[str]
    repeats: float
    unadjusted_error: float
    balanced_error: float
    ridge: float | None
    ridges: Vector
    held_out: Vector
    log_loss: float
    log_loss_before: float
    seed: int

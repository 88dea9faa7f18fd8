"""`Measure`: one number of a report, under the name that gates, baselines and scripts call it by."""

from dataclasses import dataclass

# Those that every evaluation has. Beside them there are GROUP.error, GROUP.calibration and
# GROUP.calibration_debiased of each group, and class.NAME.error of each class.
METRIC_NAMES = (
    "balanced_error",
    "micro_error",
    "target_error",
    "worst_class.recall",
    "worst_tenth.recall",
    "macro_f1",
    "log_loss",
    "balanced_log_loss",
    "target_log_loss",
    "brier",
    "balanced_brier",
    "target_brier",
    "calibration.top_label",
    "calibration.top_label_debiased",
    "calibration.class_wise",
    "calibration.class_wise_debiased",
    "balanced_calibration",
    "balanced_calibration_debiased",
    "target_calibration",
    "target_calibration_debiased",
    "gain",
)
GROUP_METRICS = ("error", "calibration", "calibration_debiased")


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with what it rests on.

    Attributes:
        name: `balanced_error`, `few.error`, `class.cat.error`.
        value: None where it is undefined.
        low: Lower end of the 95 % interval; None where there is none.
        high: Upper end.
        standard_error: None where there is none.
        n: Rows behind it.
        better: Which way is better: "lower" or "higher".
        unit: "share" (shown in percent), "nats", or "" for a plain number.
        undefined: Why there is no value, in words; None where there is one.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    n: int
    better: str = "lower"
    unit: str = "share"
    undefined: str | None = None

"""Training records for tests."""

from typing import Any

from lacal.trained import TrainingRecord


def record(**said: Any) -> TrainingRecord:
    """Of a network trained with the logit-adjusted loss, but for what is said."""
    usual: dict[str, Any] = {
        "loss": "logit-adjusted",
        "loss_options": {"tau": 1.0, "normalise": "rows"},
        "head": "linear",
        "sampler": "instance",
        "second_stage": None,
        "carries": "prior",
        "network": "small-cnn:32",
        "epochs": 30,
        "lacal": "0.4.0",
        "weights": "ab" * 32,
    }
    return TrainingRecord(**usual | said)

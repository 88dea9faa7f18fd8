"""Long-tail logit adjustment: fair to rare classes, after training, with the gain's uncertainty."""

__version__ = "0.1.0"

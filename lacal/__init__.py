"""Long-tail logit adjustment: fair to rare classes, after training, with the gain's uncertainty."""

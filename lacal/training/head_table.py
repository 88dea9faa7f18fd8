"""The heads by name, with their options. No torch here: `lacal.training.heads` holds them."""

from lacal.named_options import Option

SMALLEST = 1e-3  # of scales: 0 would make every logit 0

HEADS: dict[str, dict[str, Option]] = {
    "linear": {},
    "cosine": {
        "scale": Option(30.0, "s: logits are s times the cosine of features and weight", SMALLEST),
    },
    "causal-norm": {
        "parts": Option(2.0, "K: features are split into so many parts of equal width", 1.0),
        "scale": Option(16.0, "t: the parts' shares of a logit are t / K times a cosine", SMALLEST),
        "gamma": Option(1 / 32, "added to the norm of each part of a weight", 0.0),
        # Published: 1 on CIFAR-10-LT, 1.5 on CIFAR-100-LT, 3 on ImageNet-LT. One run on the Fashion-MNIST sample (10
        # classes) had a validation error of 29 % at 0, 26 at 1, 50 at 1.5: the smallest is the one to start from.
        "alpha": Option(
            1.0, "how much of the mean feature's direction prediction takes off; 0: none", 0.0
        ),
        "momentum": Option(0.9, "mu of the moving average of features", 0.0, 1.0),
    },
}

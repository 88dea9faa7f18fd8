"""Training with a long-tail loss: data, networks, samplers, the loop, and the folder a run leaves."""

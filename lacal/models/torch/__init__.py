"""TorchScript and exported programs, by torch: run one, find its head, write it adjusted."""

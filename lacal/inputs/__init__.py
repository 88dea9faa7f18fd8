"""A model's inputs: arrays, feature columns, or images, preprocessed as the user says."""

from lacal.inputs.inputs import InputBlock, InputOptions, Inputs
from lacal.inputs.stream import open_inputs

__all__ = ["InputBlock", "InputOptions", "Inputs", "open_inputs"]

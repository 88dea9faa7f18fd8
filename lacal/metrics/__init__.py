"""Errors, scores and calibration with their uncertainty: accumulators of sums, and pure functions of them."""

from lacal.metrics.calibration_error import CalibrationError
from lacal.metrics.class_wise import ClassWiseBins
from lacal.metrics.flows import FlowTally
from lacal.metrics.intervals import NORMAL_95, Rate
from lacal.metrics.measurement import Measurement
from lacal.metrics.paired import Gain, PairedTally, mcnemar, paired_bootstrap
from lacal.metrics.reliability import BINS, Diagram, TopLabelBins
from lacal.metrics.scores import Score, ScoreTally
from lacal.metrics.tallies import ClassTally

__all__ = [
    "BINS",
    "NORMAL_95",
    "CalibrationError",
    "ClassTally",
    "ClassWiseBins",
    "Diagram",
    "FlowTally",
    "Gain",
    "Measurement",
    "PairedTally",
    "Rate",
    "Score",
    "ScoreTally",
    "TopLabelBins",
    "mcnemar",
    "paired_bootstrap",
]

"""What the functions of metrics and ranks promise."""

import numpy as np

from lacal.metrics import (
    ClassTally,
    ClassWiseBins,
    FlowTally,
    Measurement,
    PairedTally,
    ScoreTally,
    TopLabelBins,
    paired_bootstrap,
)
from lacal.metrics.calibration_error import calibration_error
from lacal.metrics.f1 import macro_f1
from lacal.metrics.intervals import of_mean
from lacal.metrics.moments import Moments
from lacal.metrics.reliability import bin_of
from lacal.metrics.worst import worst_recall
from lacal.ranks import rank_correlation
from tests.contracts.given import (
    BINS,
    EACH,
    SUMMED,
    WHOLE,
    Contract,
    K,
    N,
    added,
    cell_sums,
    counted_of,
    flows,
    moments,
    paired,
    scores,
    tally,
    top,
    updated,
)

# Module below lacal and name -> what it promises.
CONTRACTS: dict[str, Contract] = {
    "ranks.rank_correlation": Contract(
        SUMMED, lambda values, weights: rank_correlation(values, weights)
    ),
    "metrics.calibration_error.calibration_error": Contract(
        WHOLE,
        lambda numbers, shares: calibration_error(moments(), numbers.astype(np.int64), shares, K),
    ),
    "metrics.cells.CellSums.add": Contract(SUMMED, cell_sums),
    "metrics.class_wise.ClassWiseBins.update": Contract(
        SUMMED,
        lambda probabilities, some_labels, weights: updated(
            ClassWiseBins.empty(K, BINS), probabilities, some_labels, weights
        ),
    ),
    "metrics.class_wise.ClassWiseBins.error": Contract(
        WHOLE,
        lambda probabilities, labels, mask: updated(
            ClassWiseBins.empty(K, BINS), probabilities, labels
        ).error(mask),
    ),
    "metrics.f1.macro_f1": Contract(
        WHOLE, lambda mask: macro_f1(tally().sums().labelled, tally().sums().predicted, mask, N)
    ),
    "metrics.flows.FlowTally.of": Contract(WHOLE, lambda mask: FlowTally.of({"head": mask})),
    "metrics.flows.FlowTally.update": Contract(
        SUMMED,
        lambda predictions, adjusted_predictions, some_labels: updated(
            flows(), predictions, adjusted_predictions, some_labels
        ),
    ),
    "metrics.intervals.of_mean": Contract(
        SUMMED, lambda shares, numbers, prior: of_mean(shares, numbers, numbers * shares, prior)
    ),
    "metrics.measurement.Measurement.update": Contract(
        SUMMED,
        lambda some_labels, predictions, probabilities, weights, values: updated(
            Measurement(K, BINS),
            some_labels,
            predictions,
            probabilities,
            weights=weights,
            log_true=-(values**2),
        ),
    ),
    "metrics.moments.Moments.of_counts": Contract(
        EACH,
        lambda class_counts, numbers: Moments.of_counts(class_counts, numbers.astype(np.int64)),
    ),
    "metrics.moments.Moments.add": Contract(SUMMED, added),
    "metrics.moments.Moments.pooled": Contract(WHOLE, lambda numbers: moments().pooled(numbers)),
    "metrics.moments.Moments.only": Contract(WHOLE, lambda mask: moments().only(mask)),
    "metrics.moments.counted": Contract(EACH, counted_of),
    "metrics.paired.PairedTally.update": Contract(
        SUMMED,
        lambda some_labels, predictions, adjusted_predictions, weights: updated(
            PairedTally.empty(K), some_labels, predictions, adjusted_predictions, weights
        ),
    ),
    "metrics.paired.PairedTally.gain": Contract(WHOLE, lambda mask: paired().gain(mask)),
    "metrics.paired.PairedTally.present": Contract(WHOLE, lambda mask: paired().present(mask)),
    "metrics.paired.PairedTally.under": Contract(WHOLE, lambda prior: paired().under(prior)),
    "metrics.paired.paired_bootstrap": Contract(
        WHOLE, lambda mask: paired_bootstrap(paired(), {"head": mask, "all": None}, draws=50)
    ),
    "metrics.reliability.bin_of": Contract(EACH, lambda confidence: bin_of(confidence, BINS)),
    "metrics.reliability.TopLabelBins.update": Contract(
        SUMMED,
        lambda confidence, correct, some_labels, weights: updated(
            TopLabelBins.empty(K, BINS), confidence, correct, some_labels, weights
        ),
    ),
    "metrics.reliability.TopLabelBins.error": Contract(
        WHOLE, lambda mask, prior: top().error(mask, prior)
    ),
    "metrics.reliability.TopLabelBins.diagram": Contract(
        WHOLE, lambda mask, prior: top().diagram(mask, prior)
    ),
    "metrics.scores.ScoreTally.update": Contract(
        SUMMED,
        lambda probabilities, some_labels, weights: updated(
            ScoreTally.empty(K), probabilities, some_labels, weights
        ),
    ),
    "metrics.scores.ScoreTally.log_loss": Contract(WHOLE, lambda prior: scores().log_loss(prior)),
    "metrics.scores.ScoreTally.brier": Contract(WHOLE, lambda prior: scores().brier(prior)),
    "metrics.tallies.ClassTally.update": Contract(
        SUMMED,
        lambda some_labels, predictions, weights: updated(
            ClassTally.empty(K), some_labels, predictions, weights
        ),
    ),
    "metrics.tallies.ClassTally.balanced": Contract(WHOLE, lambda mask: tally().balanced(mask)),
    "metrics.tallies.ClassTally.under": Contract(WHOLE, lambda prior: tally().under(prior)),
    "metrics.tallies.ClassTally.macro_f1": Contract(WHOLE, lambda mask: tally().macro_f1(mask)),
    # Splits are drawn class after class, so another order of the classes draws others.
    "metrics.worst.worst_recall": Contract(
        WHOLE, lambda shares, numbers: worst_recall(shares, numbers, 2)
    ),
}

"""`Measurement` gathers what its parts would have gathered, and `FlowTally` counts moves by hand."""

import numpy as np
import pytest

from lacal.batch import NO_LABEL
from lacal.metrics import (
    ClassTally,
    ClassWiseBins,
    FlowTally,
    Measurement,
    ScoreTally,
    TopLabelBins,
)

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(-1, 4, 90)
PROBABILITIES = GENERATOR.dirichlet(np.ones(5), 90)
PREDICTIONS = PROBABILITIES.argmax(axis=1)
WEIGHTS = GENERATOR.gamma(1.0, size=90)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_measurement_is_its_parts(weights: np.ndarray | None) -> None:
    found = Measurement(5, bins=10)
    for part in np.array_split(np.arange(90), 4):
        told = None if weights is None else weights[part]
        one = Measurement(5, bins=10)
        one.update(LABELS[part], PREDICTIONS[part], PROBABILITIES[part], weights=told)
        found.merge(one)
    tally, scores = ClassTally.empty(5), ScoreTally.empty(5)
    top, wise = TopLabelBins.empty(5, 10), ClassWiseBins.empty(5, 10)
    tally.update(LABELS, PREDICTIONS, weights)
    scores.update(PROBABILITIES, LABELS, weights)
    top.update(PROBABILITIES.max(axis=1), PREDICTIONS == LABELS, LABELS, weights)
    wise.update(PROBABILITIES, LABELS, weights)
    assert found.scores is not None
    assert found.top is not None
    assert found.class_wise is not None
    assert found.tally.balanced().value == pytest.approx(tally.balanced().value)
    assert found.scores.log_loss().value == pytest.approx(scores.log_loss().value)
    assert found.scores.brier().value == pytest.approx(scores.brier().value)
    assert found.top.error().value == pytest.approx(top.error().value)
    assert found.class_wise.error().value == pytest.approx(wise.error().value)
    assert found.top.error().n == found.scores.support.sum() == (LABELS != NO_LABEL).sum()


def test_confidence_is_of_the_prediction_not_of_the_largest_probability() -> None:
    """Predictions for balanced error need not be the likeliest class under the deployment prior."""
    found = Measurement(2)
    found.update(np.array([1]), np.array([1]), np.array([[0.7, 0.3]]))
    assert found.top is not None
    assert found.top.error().value == pytest.approx(0.7)  # right, said with 0.3


def test_only_what_came_is_measured() -> None:
    found = Measurement(5)
    found.update(None, PREDICTIONS, PROBABILITIES)
    assert (found.tally.micro().n, found.scores, found.top) == (0, None, None)
    found.update(LABELS, PREDICTIONS)
    assert (found.scores, found.top, found.class_wise) == (None, None, None)
    confident = Measurement(5)
    confident.update(LABELS, PREDICTIONS, confidence=PROBABILITIES.max(axis=1))
    assert confident.top is not None
    assert (confident.scores, confident.class_wise) == (None, None)
    found.merge(confident)
    assert found.top is not None
    assert found.tally.micro().n == 2 * (LABELS != NO_LABEL).sum()


def test_merging_takes_nothing_away_from_the_other() -> None:
    first, second = Measurement(5), Measurement(5)
    second.update(LABELS, PREDICTIONS, PROBABILITIES)
    first.merge(second)
    first.merge(second)
    assert second.scores is not None
    assert second.scores.support.sum() == (LABELS != NO_LABEL).sum()
    assert first.scores is not None
    assert first.scores.support.sum() == 2 * second.scores.support.sum()


def test_flows_by_hand() -> None:
    masks = {
        "many": np.array([True, True, False, False]),
        "few": np.array([False, False, True, False]),
    }
    flows = FlowTally.of(masks)
    assert flows.groups == ("many", "few", "other")
    before = np.array([0, 0, 1, 2, 0, 3, 0])
    after = np.array([2, 0, 0, 0, 2, 2, 3])
    labels = np.array([2, 0, 1, 3, NO_LABEL, 2, 0])
    other = FlowTally.of(masks)
    flows.update(before[:3], after[:3], labels[:3])
    other.update(before[3:], after[3:], labels[3:])
    flows.merge(other)
    assert flows.moved.tolist() == [[1, 2, 1], [1, 0, 0], [0, 1, 0]]
    assert flows.mended.tolist() == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert flows.broken.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert flows.rows == 7
    unlabelled = FlowTally.of({"all": np.ones(4, np.bool_)})
    unlabelled.update(before, after, None)
    assert unlabelled.moved.tolist() == [[6]]
    assert unlabelled.mended.sum() == 0


def test_parts_without_scores_merge_with_parts_that_have_some() -> None:
    """Probabilities of one part, confidences of another, predictions alone of the third."""
    whole = Measurement(5)
    for part in range(3):
        one = Measurement(5)
        one.update(
            LABELS,
            PREDICTIONS,
            PROBABILITIES if part == 0 else None,
            confidence=PROBABILITIES.max(axis=1) if part == 1 else None,
        )
        whole.merge(one)
    known = np.count_nonzero(LABELS != NO_LABEL)
    assert whole.tally.support.sum() == 3 * known
    assert whole.scores is not None
    assert whole.scores.support.sum() == known
    assert whole.top is not None
    assert whole.top.rows.sum() == 2 * known
    assert whole.class_wise is not None
    assert whole.class_wise.labelled.sum() == known

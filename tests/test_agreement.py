"""Which models are right together: the same paired counts as from two models alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lacal.metrics import PairedTally
from lacal.pipeline.agreement import Agreement


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(0, 30))
def test_every_pair_is_what_a_pass_over_the_two_would_count(seed: int, models: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, n)
    predictions = [generator.integers(0, 3, n) for _ in range(models)]
    agreement = Agreement.empty(3, models)
    for part in (slice(0, n // 2), slice(n // 2, n)):
        agreement.update(labels[part], [one[part] for one in predictions])
    for before in range(models):
        for after in range(models):
            expected = PairedTally.empty(3)
            expected.update(labels, predictions[before], predictions[after])
            found = agreement.paired(before, after)
            assert (found.support == expected.support).all()
            assert (found.mended == expected.mended).all()
            assert (found.broken == expected.broken).all()

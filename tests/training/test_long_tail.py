"""Long tails have the counts of the published sets, and what stays is drawn at random by the seed."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.errors import UsageError
from lacal.training.long_tail import LongTail, cut_rows

# CIFAR-10 has 10 classes of 5000, CIFAR-100 has 100 of 500.
TOTALS = [
    ("exp:10", 20_431, 19_573),
    ("exp:50", 13_996, 12_608),
    ("exp:100", 12_406, 10_847),
    ("exp:200", 11_203, 9_502),
    ("step:100", 25_250, 25_250),
]


@pytest.mark.parametrize(("text", "cifar10", "cifar100"), TOTALS)
def test_the_sets_of_the_papers(text: str, cifar10: int, cifar100: int) -> None:
    how = LongTail.parse(text)
    assert str(how) == text
    assert how.class_counts(5000, 10).sum() == cifar10
    assert how.class_counts(500, 100).sum() == cifar100


def test_every_count_of_cifar_10_lt() -> None:
    counts = LongTail("exp", 100).class_counts(5000, 10)
    assert counts.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert LongTail("step", 100).class_counts(5000, 10).tolist() == [5000] * 5 + [50] * 5
    assert LongTail("step", 10).class_counts(50, 5).tolist() == [50, 50, 5, 5, 5]


def test_the_groups_of_cifar_100_lt() -> None:
    counts = LongTail("exp", 100).class_counts(500, 100)
    assert [(counts > 100).sum(), (counts < 20).sum(), (counts == 20).sum()] == [35, 30, 1]


def of_ldam_drw(largest: int, classes: int, factor: float) -> list[int]:
    """`get_img_num_per_cls` of kaidic/LDAM-DRW; its factor is 1 / ratio."""
    return [int(largest * (factor ** (j / (classes - 1.0)))) for j in range(classes)]


@given(st.integers(2, 200), st.integers(1, 6000), st.integers(1, 500))
def test_counts_are_those_of_the_code_but_for_its_rounding(
    classes: int, largest: int, ratio: int
) -> None:
    counts = LongTail("exp", ratio).class_counts(largest, classes)
    theirs = np.array(of_ldam_drw(largest, classes, 1 / ratio))
    # Theirs falls by one where a power that is whole is rounded down: 49 * (1 / 49) is 0.
    assert set(np.unique(counts - theirs)) <= {0, 1}
    real = largest * float(ratio) ** -(np.arange(classes) / (classes - 1))
    np.testing.assert_allclose(counts[counts > theirs], real[counts > theirs], rtol=1e-11)
    assert counts[0] == largest
    assert counts[-1] == Fraction(largest, ratio).__floor__()
    assert (np.diff(counts) <= 0).all()


@given(
    st.lists(st.integers(8, 30), min_size=2, max_size=6),
    st.sampled_from(["exp:1", "exp:4", "step:8", "exp:2.5"]),
    st.integers(0, 9),
)
def test_what_stays_is_of_the_counts_and_of_the_seed(
    sizes: list[int], text: str, seed: int
) -> None:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(sizes)), sizes))
    how = LongTail.parse(text)
    rows = cut_rows(labels, len(sizes), how, seed)
    assert (np.diff(rows) > 0).all()
    wanted = how.class_counts(min(sizes), len(sizes))
    np.testing.assert_array_equal(np.bincount(labels[rows], minlength=len(sizes)), wanted)
    np.testing.assert_array_equal(rows, cut_rows(labels, len(sizes), how, seed))


def test_every_row_is_as_likely_to_stay() -> None:
    labels = np.tile([0, 1], 20)
    draws = 600
    times = np.zeros(40)
    for seed in range(draws):
        times[cut_rows(labels, 2, LongTail("exp", 4), seed)] += 1
    assert (times[::2] == draws).all()  # class 0 stays whole
    share = times[1::2] / draws
    # 5 of 20: a binomial of 600 draws; 4.5 standard deviations.
    assert np.abs(share - 0.25).max() < 4.5 * np.sqrt(0.25 * 0.75 / draws)


@pytest.mark.parametrize(
    "text",
    ["", "exp", "exp:", "exp:x", "exp:0.5", "exp:inf", "exp:nan", "step:-2", "100", "EXP:100"],
)
def test_what_is_no_profile(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"^--long-tail: got '.*', expected exp:RATIO or step:RATIO"
    ):
        LongTail.parse(text)


def test_a_misspelt_profile_gets_an_example() -> None:
    with pytest.raises(UsageError, match="such as exp:100"):
        LongTail.parse("steps:10")


def test_no_class_may_end_empty() -> None:
    labels = np.repeat(np.arange(3), [40, 20, 30])
    with pytest.raises(UsageError) as error:
        cut_rows(labels, 3, LongTail("exp", 21), 0, ("cat", "dog", "emu"))
    assert "leaves no example of 1 of 3 classes (emu)" in str(error.value)
    assert "expected a ratio of at most 20" in str(error.value)
    assert cut_rows(labels, 3, LongTail("exp", 20), 0).size == 20 + 4 + 1

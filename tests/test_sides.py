"""Short names of two runs: as much of their paths as tells them apart, and safe to show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.report.sides import LETTERS, SIDES, sides_of


@pytest.mark.parametrize(
    ("places", "names"),
    [
        (("out/tau_1.parquet", "best.parquet"), ("tau_1.parquet", "best.parquet")),
        (("runs/a/test_logits.parquet", "runs/b/test_logits.parquet"), ("a", "b")),
        (("old/x/t.npz", "new/x/t.npz"), ("old", "new")),
        (("t.npz", "new/t.npz"), ("t.npz", "new/t.npz")),
        (("t.npz", "./t.npz"), SIDES),
        (
            ("langid_resnet_seed_1_test.parquet", "langid_resnet_seed_2_test.parquet"),
            ("…d_1_test.parquet", "…d_2_test.parquet"),
        ),
        (("\x1b[31ma", "\u202eb"), ("\\x1b[31ma", "\\u202eb")),
        (("a" * 30 + "1", "b" * 30), (f"{'a' * 19}…", f"{'b' * 19}…")),
        (("abc" + "x" * 30 + "1", "abd" + "x" * 30), (f"abc{'x' * 16}…", f"abd{'x' * 16}…")),
    ],
)
def test_names_tell_the_two_apart(places: tuple[str, str], names: tuple[str, str]) -> None:
    assert sides_of(places) == names


@given(places=st.tuples(st.text(max_size=60), st.text(max_size=60)))
def test_any_two_paths_have_two_short_names(places: tuple[str, str]) -> None:
    names = sides_of(places)
    assert names[0] != names[1]
    for one in names:
        assert 0 < len(one) <= LETTERS
        assert one.isprintable()
        assert one.strip()

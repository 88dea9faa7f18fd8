"""Groups by thresholds, by quantiles and by a file: every class in one, whatever the order of the classes."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lacal.classes.groups import GroupRule, Groups
from lacal.classes.prior import LabelPrior
from lacal.errors import DataError, UsageError
from tests.small_world import NAMES, json_of, lacal, refusal

COUNTS = arrays.arrays(np.int64, st.integers(2, 40), elements=st.integers(1, 300))
RULES = st.one_of(
    st.builds(GroupRule, st.integers(50, 200), st.integers(0, 50)),
    st.builds(GroupRule, quantiles=st.integers(2, 9)),
)


def members(groups: Groups) -> dict[str, list[int]]:
    return {name: np.flatnonzero(mask).tolist() for name, mask in groups.masks.items()}


@given(COUNTS, RULES, st.randoms())
def test_every_class_has_one_group_whatever_their_order(counts: np.ndarray, rule: GroupRule, random: object) -> None:  # fmt: skip
    groups = rule.by_counts(counts)
    stacked = np.stack(list(groups.masks.values()))
    assert (stacked.sum(axis=0) == 1).all()
    number = stacked.argmax(axis=0)
    order = np.random.default_rng(int(counts.sum())).permutation(counts.size)
    again = np.stack(list(rule.by_counts(counts[order]).masks.values())).argmax(axis=0)
    np.testing.assert_array_equal(again, number[order])
    for count in np.unique(counts):
        assert np.unique(number[counts == count]).size == 1
    assert (np.diff(number[np.argsort(-counts)]) >= 0).all()


@given(st.integers(2, 60), st.integers(2, 9))
def test_quantiles_of_distinct_counts_are_of_one_size(classes: int, parts: int) -> None:
    groups = GroupRule(quantiles=parts).by_counts(np.arange(1, classes + 1))
    sizes = [int(mask.sum()) for mask in groups.masks.values()]
    assert len(sizes) == parts
    assert max(sizes) - min(sizes) <= 1


def test_quantiles_by_hand() -> None:
    groups = GroupRule.parse("quantiles:3").by_counts(np.array([5, 900, 70, 70, 8, 1]))
    assert members(groups) == {"q1": [1], "q2": [2, 3, 4], "q3": [0, 5]}
    assert groups.rule == {"q1": "900..900", "q2": "8..70", "q3": "1..5"}
    assert list(GroupRule(quantiles=4).by_counts(np.arange(8)).masks) == ["q1", "q2", "q3", "q4"]
    same = GroupRule(quantiles=3).by_counts(np.full(5, 7))
    assert members(same) == {"q1": [], "q2": [0, 1, 2, 3, 4], "q3": []}
    assert same.rule == {"q1": "no class", "q2": "7..7", "q3": "no class"}


def test_thresholds_on_the_command_line() -> None:
    groups = GroupRule.parse("10,5").by_counts(np.array([11, 10, 5, 4]))
    assert members(groups) == {"many": [0], "medium": [1, 2], "few": [3]}
    assert groups.title("medium") == "medium (5..10 training)"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("5,10", "few below 10 and many above 5 overlap"),
        ("nan,1", "overlap"),
        ("5,10,20", "got '5,10,20', which is no file; expected MANY,FEW"),
        ("quantile:3", "got 'quantile:3', which is no file; expected MANY,FEW"),
        ("\x1b[1m", r"got '\\x1b\[1m'"),
        ("quantiles:1", "expected quantiles:N with N from 2 to 50"),
        ("quantiles:", "expected quantiles:N"),
        ("quantiles:x", "expected quantiles:N"),
        ("quantiles:99999999999999999999", "expected quantiles:N"),
    ],
)
def test_nonsense_rules_are_refused(text: str, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        GroupRule.parse(text)


# Files


def group_file(folder: Path, text: str, name: str = "groups.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


BY_NAME = "class,group\ngnu,wild\ncat,tame\ndog,tame\nemu,wild\nfox,wild\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("g.csv", BY_NAME),
        ("g.tsv", BY_NAME.replace(",", "\t")),
        ("g.csv", "group,note,name\nwild,x,gnu\ntame,,cat\ntame,,dog\nwild,,emu\nwild,,fox\n"),
        ("g.csv", "class,group\n4,wild\n0,tame\n1,tame\n2,wild\n3,wild\n"),
        ("g.json", json.dumps({"gnu": "wild", "cat": "tame", "dog": "tame", "emu": "wild", "fox": "wild"})),
    ],
)  # fmt: skip
def test_a_file_groups_by_name_or_number_in_its_order(tmp_path: Path, name: str, text: str) -> None:
    rule = GroupRule.parse(str(group_file(tmp_path, text, name)))
    groups = LabelPrior(np.array([9, 8, 7, 6, 5]), NAMES).groups(rule)
    assert members(groups) == {"wild": [2, 3, 4], "tame": [0, 1]}
    assert groups.title("wild") == "wild"
    assert groups.rule["wild"].endswith(name)


def test_names_that_are_numbers_are_names(tmp_path: Path) -> None:
    path = group_file(tmp_path, "class,group\n0,a\n1,b\n2,b\n")
    assert members(GroupRule.parse(str(path)).by_name(3, ("2", "0", "1"))) == {
        "a": [1],
        "b": [0, 2],
    }
    assert members(GroupRule.parse(str(path)).by_name(3, None)) == {"a": [0], "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("cat,tame\n", "first line is `class,group`"),
        ("class,count\ncat,3\n", "first line is `class,group`"),
        ("", "is empty"),
        (BY_NAME + "cat,wild\n", "line 7: class 'cat' occurs twice"),
        (BY_NAME.replace("fox,wild\n", ""), r"1 of 5 classes have no group \(fox\)"),
        (BY_NAME.replace("fox,wild", "fx,wild"), "'fx' is none of the 5 classes.*Did you mean 'fox'"),
        (BY_NAME.replace("fox,wild", "fox,"), "line 6: got the group ''"),
        (BY_NAME.replace("fox,wild", "fox,a.b"), "without dots and quotes"),
        (BY_NAME.replace("fox,wild", "fox,class"), "cannot be called 'class'"),
        (BY_NAME.replace("fox,wild", "fox,\x1b[31m"), r"got the group '\\x1b\[31m'"),
        (BY_NAME.replace("fox,wild", "fox,wild,x"), "line 6 has 3 cells, expected 2"),
        ("class,group\n" + "".join(f"{j},g{j}\n" for j in range(60)), "has 60 groups; expected at most 50"),
    ],
)  # fmt: skip
def test_faulty_files_name_the_line(tmp_path: Path, text: str, fault: str) -> None:
    path = group_file(tmp_path, text)
    with pytest.raises(DataError, match=fault):
        GroupRule.parse(str(path)).by_name(5, NAMES)


@pytest.mark.parametrize(
    ("text", "fault"),
    [('{"a": 1}', "expected an object"), ("[]", "expected an object"), ("{", "is not JSON"),
     ('{"a": "x", "a": "y"}', "occurs twice")],
)  # fmt: skip
def test_faulty_json(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        GroupRule.parse(str(group_file(tmp_path, text, "g.json")))


def test_names_need_to_be_known(tmp_path: Path) -> None:
    rule = GroupRule.parse(str(group_file(tmp_path, BY_NAME)))
    with pytest.raises(DataError, match="number the classes from 0, or give named counts"):
        rule.by_name(5, None)


# On the command line


def test_every_rule_reaches_the_numbers(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = ("evaluate", folder / "test.npz", "--counts", folder / "counts.csv", "--groups")
    few = json_of(capfd, *line, "600,10")
    assert {name: one["classes"] for name, one in few["groups"].items()} == {
        "many": 0,
        "medium": 4,
        "few": 1,
    }
    assert few["groups"]["many"]["value"] is None
    assert few["measures"]["many.error"]["value"] is None
    thirds = json_of(capfd, *line, "quantiles:3")["groups"]
    assert [one["training_count"] for one in thirds.values()] == ["120..500", "60..60", "6..25"]
    listed = json_of(capfd, *line, group_file(folder, BY_NAME))["groups"]
    assert list(listed) == ["wild", "tame"]
    assert listed["tame"]["training_count"] is None
    assert listed["tame"]["value"] == pytest.approx(
        np.mean([one["error"] for one in few["classes"][:2]])
    )


def test_a_file_needs_no_counts_and_thresholds_do(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = group_file(folder, "class,group\n0,a\n1,a\n2,a\n3,b\n4,b\n")
    line = ("evaluate", folder / "test.npz", "--groups")
    assert list(json_of(capfd, *line, path)["groups"]) == ["a", "b"]
    message = refusal(capfd, *line, "100,20")
    assert "groups by training count need the counts; give --counts FILE" in message
    assert list(json_of(capfd, "inspect", folder / "test.npz", "--groups", path)["groups"]) == [
        "a",
        "b",
    ]


def test_a_missing_file_is_refused_before_any_work(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capfd, "evaluate", folder / "no.npz", "--groups", folder / "no.csv")
    assert "no.csv" in message


def test_inspect_shows_the_groups_asked_for(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ("inspect", folder / "val.npz", "--counts", folder / "counts.csv")
    assert lacal(*line, "--groups", "quantiles:2") == 0
    assert "2 q1 (120..500), 3 q2 (6..60)" in capfd.readouterr().out

"""The mark between cells is the one that parts the header and the first row alike."""

from pathlib import Path

import pytest

from lacal.errors import DataError
from lacal.formats.delimiters import delimiter_of

CSV = Path("folder") / "a.csv"


@pytest.mark.parametrize(
    ("header", "first", "mark"),
    [
        ("class,count", "cat,7", ","),
        ("class;count", "cat;7", ";"),
        ("class\tcount", "cat\t7", "\t"),
        ("count", "7", ","),
        ("", "", ","),
        ("class;count (2024, train)", "cat;7", ";"),
        ("class;a;b", "cat;1,5;2,5", ";"),
        ("a,b;c,d", "1,2;3,4", ","),  # both agree: the one that parts into more cells
        ("a,b;c", "1,2;3", ","),  # as many of each: the first of the marks
        ("a;b\tc", "1;2\t3", "\t"),
        ("a,b\tc;d", "1,2 3", ","),
        ("a;b;c,d", "1,2", ","),  # only the comma parts both alike
        ('"a,b";c', '"1,2";3', ";"),
        ('"a,b', "1;2", ","),
        ("a;b,c;d", "", ";"),  # no row below: the one that parts into more
        ('"a,b;c,d', '"1,2;3', ","),  # unreadable with either: no mark is better
    ],
)
def test_the_mark_of_both_lines(header: str, first: str, mark: str) -> None:
    assert delimiter_of(CSV, header, first) == mark


def test_a_tsv_is_parted_by_tabs() -> None:
    assert delimiter_of(Path("a.TSV"), "a,b;c", "1,2;3") == "\t"


@pytest.mark.parametrize("header", ["sep=;", "SEP=,", '"sep=;"', '  "Sep=|"'])
def test_a_setting_of_spreadsheets_is_refused(header: str) -> None:
    with pytest.raises(DataError) as refused:
        delimiter_of(CSV, header, "class;count")
    assert str(refused.value) == (
        "folder/a.csv: line 1 is 'sep=', a setting of spreadsheets; delete that line, so that the names of the columns "
        "come first"
    )

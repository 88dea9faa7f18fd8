"""Spoiled CSV files through the command line, and what a CSV file must keep to the letter: ids and names."""

import gzip
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from lacal.errors import DataError
from lacal.formats import open_table
from lacal.formats.delimited import LINE_LIMIT
from tests.small_world import COUNTS, NAMES, json_of, lacal, refusal, world

VAL = world()
HEADER = "id,label," + ",".join(f"logit_{name}" for name in NAMES) + "\n"
ROWS = [
    f"r{i},{NAMES[label]}," + ",".join(f"{one:.4f}" for one in logits)
    for i, (label, logits) in enumerate(zip(VAL.labels, VAL.logits, strict=True))
]
WHOLE = HEADER + "\n".join(ROWS) + "\n"


def row(number: int, change: Callable[[str], str]) -> str:
    """The file with one row changed."""
    rows = [change(one) if i == number else one for i, one in enumerate(ROWS)]
    return HEADER + "\n".join(rows) + "\n"


def last_cell(text: str, number: int = 7) -> str:
    """The file whose row 7 (line 9) has another last cell."""
    return row(number, lambda one: one.rpartition(",")[0] + "," + text)


def two_quotes() -> str:
    """Legal for a parser that lets cells span lines: 18 rows would vanish into one cell."""
    rows = ['"' + one if i == 20 else one.replace(",", '",', 1) if i == 38 else one
            for i, one in enumerate(ROWS)]  # fmt: skip
    return HEADER + "\n".join(rows) + "\n"


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "a stray quote": (row(5, lambda one: '"' + one), "line 7 has a stray quote"),
    "two stray quotes": (two_quotes(), "line 22 has a stray quote"),
    "no header": ("\n".join(one.partition(",")[2].partition(",")[2] for one in ROWS), "no header;"),
    "no header, ids": ("\n".join(ROWS) + "\n", "or has the file no header line?"),
    "UTF-16": (WHOLE.encode("utf-16"), "is text in UTF-16"),
    "UTF-16 without a mark": (WHOLE.encode("utf-16-le"), "not UTF-8 text (UTF-16?)"),
    "Latin-1": (WHOLE.replace("r7,", "é7,").encode("latin-1"), "line 9 is not UTF-8 (Latin-1?)"),
    "gzip by another name": (gzip.compress(WHOLE.encode()), "is compressed with gzip"),
    "continental": (WHOLE.replace(",", ";").replace(".", ","), "with a decimal comma"),
    "continental under commas": (
        HEADER + "\n".join(ROWS).replace(",", ";").replace(".", ","),
        "line 2 has 6 cells; expected 7",
    ),
    "spaces": (WHOLE.replace(",", " "), "found no logits"),
    "a short row": (row(7, lambda one: one.rpartition(",")[0]), "line 9 has 6 cells"),
    "a long row": (row(7, lambda one: one + ",1"), "line 9 has 8 cells"),
    "a comment first": ("# made by x\n" + WHOLE, "line 2 has 7 cells; expected 1"),
    "a comment later": (row(7, lambda one: f"# half\n{one}"), "line 9 has 1 cells"),
    "a number too large": (last_cell("1e400"), "row 7, class 4 is inf"),
    "a number too small": (last_cell("-1e400"), "row 7, class 4 is -inf"),
    "hexadecimal": (last_cell("0x10"), "line 9 has '0x10' in column 'logit_gnu'"),
    "digits of another script": (last_cell("٣"), "line 9 has '٣' in column 'logit_gnu'"),
    "underscores": (last_cell("1_000"), "line 9 has '1_000' in column 'logit_gnu'"),
    "a null": (last_cell("NA"), "line 9 has 'NA' in column 'logit_gnu'"),
    "an empty cell": (last_cell(""), "line 9 has an empty cell in column 'logit_gnu'"),
    "NaN": (last_cell("nan"), "row 7, class 4 is NaN"),
    "only a header": (HEADER, "holds no rows; expected at least one"),
    "an error page": ("\n <HTML><body>404", "is an HTML or XML page"),
    "an error in JSON": ('{"error": "not found"}\n', "found no logits"),
    "a NUL": (WHOLE.replace("r50,", "r\0,"), "holds a NUL byte"),
    "a NUL in a long header": ("a" * 2000 + "\0,b\n1,2\n", "line 1 holds a NUL byte"),
    "a field of 3 MB": (WHOLE.replace("r7,", "r" * 3_000_000 + ","), "an overlong cell"),
    "a header of 16 MB": ("a" * LINE_LIMIT + "\n1\n", "line 1 is longer than 16,777,216 bytes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(folder: Path, capfd: pytest.CaptureFixture[str], case: str) -> None:
    data, fragment = REFUSED[case]
    path, out = folder / "spoiled.csv", folder / "c.json"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    line = ("tune-tau", path, "--counts", folder / "counts.csv", "-o", out)
    message = refusal(capfd, *line)
    assert message.startswith(f"Error: {path}: ")
    assert fragment in message
    assert message.isprintable()
    assert not out.exists()


@pytest.mark.parametrize("text", [WHOLE, "\ufeff" + WHOLE, WHOLE.replace("\n", "\r\n"), WHOLE[:-1]])
def test_what_is_no_fault(folder: Path, capfd: pytest.CaptureFixture[str], text: str) -> None:
    (folder / "val.csv").write_bytes(text.encode())
    np.savez(folder / "same.npz", logits=VAL.logits.astype("f8").round(4), labels=VAL.labels)
    found, same = (json_of(capfd, "evaluate", folder / one) for one in ("val.csv", "same.npz"))
    assert found["balanced_error"] == same["balanced_error"]
    assert found["rows"] == 60


def test_a_column_of_tabs(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "one.tsv").write_text("label\n" + "0\n1\n" * 3)
    np.save(folder / "six.npy", VAL.logits[:6])
    labels = ("--labels", folder / "one.tsv")
    assert json_of(capfd, "evaluate", folder / "six.npy", *labels)["rows"] == 6


ODD = st.sampled_from(["007", "7", "7.0", "1e5", "100000", "9007199254740993", "9007199254740992", "0x1f", "NA",
                       "null", "nan", "None", "1.10", "-0", "+5", " 5", "5 ", "é", "inf", "True"])  # fmt: skip
WORD = st.text(st.characters(exclude_characters='",\r\n\0', exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ODD | WORD, min_size=2, max_size=8, unique=True), st.sampled_from(["id", "sample"]))
def test_ids_stay_as_they_stand(folder: Path, ids: list[str], key: str) -> None:
    rows = [f"{one},{i},1,2" for i, one in enumerate(ids)]
    (folder / "val.csv").write_text(
        f"{key},a,b,c\n" + "\n".join(rows) + "\n", encoding="utf-8", newline=""
    )
    out, counts = folder / "p.parquet", folder / "three.json"
    counts.write_text("[5, 4, 3]")
    line = ("adjust", folder / "val.csv", "--counts", counts, "--tau", 0, "-o", out, "--force")
    assert lacal(*line, "--id-key", key) == 0
    assert pq.read_table(out).column("id").to_pylist() == ids


@pytest.mark.parametrize(
    "names",
    [
        ("NA", "null", "nan", "None", "NULL"),
        ("007", "7", "07", "1e5", "100000"),
        ("inf", "-0", "0", "1.0", "1"),
        ("4", "3", "2", "1", "x"),
        ('"quoted"', "a,b", " a", "a ", "="),
    ],
)
def test_class_names_stay_as_they_stand(
    folder: Path, capfd: pytest.CaptureFixture[str], names: tuple[str, ...]
) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    lines = [quoted(name) + f",{count}\n" for name, count in zip(names, COUNTS, strict=True)]
    (folder / "odd.csv").write_text("class,count\n" + "".join(lines))
    columns = ",".join(quoted("logit_" + name) for name in names)
    rows = [
        f"{quoted(names[label])}," + ",".join(map(str, logits.tolist())) + "\n"
        for label, logits in zip(VAL.labels, VAL.logits, strict=True)
    ]
    (folder / "odd-val.csv").write_text(f"label,{columns}\n" + "".join(rows))
    np.savez(folder / "plain.npz", logits=VAL.logits, labels=VAL.labels)
    plain = ("tune-tau", folder / "plain.npz", "--counts", folder / "counts.csv", "--draws", 10)
    odd = ("tune-tau", folder / "odd-val.csv", "--counts", folder / "odd.csv", "--draws", 10)
    assert json_of(capfd, *odd)["picks"] == json_of(capfd, *plain)["picks"]
    seen = json_of(capfd, "inspect", folder / "odd-val.csv", "--counts", folder / "odd.csv")
    assert seen["class_names"] == list(names)


COUNT_FILES = {
    "a cell over lines": (
        'class,count\n"cat,500\ndog",120\nemu,60\nfox,25\n',
        "line 2 has a stray quote",
    ),
    "an open quote": ('class,count\ncat,500\n"dog,120\n', "line 3 has a stray quote"),
    "a long cell": ("class,count\n" + "c" * 200_000 + ",5\n", "line 2 has a stray quote or an over"),
    "hexadecimal": ("class,count\ncat,0x10\n", "line 2: the count is '0x10'"),
    "underscores": ("class,count\ncat,1_000\n", "line 2: the count is '1_000'"),
    "thousands": ('class,count\ncat,"1,500"\n', "line 2: the count is '1,500'"),
    "too large": ("class,count\ncat,1e400\ndog,1\n", "count 0 is not finite"),
    "one column twice": ("class,Class,count\na,b,5\n", "two columns have one name"),
    "a short line": ("class,count\ncat,5\ndog\n", "line 3 has 1 cells, expected 2"),
    "a class twice": (
        "class,count\n" + "".join(f"{one},5\n" for one in (*NAMES, "cat")),
        "class name 'cat' occurs twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", COUNT_FILES)
def test_counts(folder: Path, capfd: pytest.CaptureFixture[str], case: str) -> None:
    text, fragment = COUNT_FILES[case]
    (folder / "spoiled.csv").write_text(text)
    np.savez(folder / "named.npz", logits=VAL.logits, labels=VAL.labels, class_names=NAMES)
    line = ("tune-tau", folder / "named.npz", "--counts", folder / "spoiled.csv")
    message = refusal(capfd, *line)
    assert message.startswith(f"Error: {folder / 'spoiled.csv'}: ")
    assert fragment in message


def test_groups_over_lines(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "g.csv").write_text('class,group\n"cat,a\ndog",b\n')
    line = ("inspect", folder / "val.npz", "--groups", folder / "g.csv")
    assert "line 2 has a stray quote or an overlong cell" in refusal(capfd, *line)


def test_one_long_text_does_not_widen_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """numpy stores every text of an array as wide as the longest."""
    monkeypatch.setattr("lacal.formats.fields.TEXT_BYTES_LIMIT", 1 << 20)
    (tmp_path / "ids.txt").write_text("a\n" * 9000 + "b" * 4000 + "\n")
    with pytest.raises(DataError, match=r"longest text has 4,000 characters, which takes .* rows"):
        open_table(tmp_path / "ids.txt").read("")

"""Class names and small texts at their edges: sizes that are just kept, JSON that only Python takes."""

import json
from pathlib import Path

import pytest

from lacal.errors import DataError, LacalError
from lacal.formats import fields as fields_of
from lacal.formats import open_table, read_text
from lacal.formats import text as text_of
from lacal.formats.text import csv_lines, strict_json
from tests.formats.test_edges import said


def test_texts_that_take_just_the_memory_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("a\nbcd\n")
    table = open_table(tmp_path / "a.txt")
    # Two rows of three characters of four bytes
    monkeypatch.setattr(fields_of, "TEXT_BYTES_LIMIT", 24)
    assert table.read("").tolist() == ["a", "bcd"]
    monkeypatch.setattr(fields_of, "TEXT_BYTES_LIMIT", 23)
    assert said(DataError, lambda: table.read("")) == (
        f"{tmp_path}/a.txt: its longest text has 3 characters, which takes 0 GiB over 2 rows; shorten it"
    )


@pytest.mark.parametrize("text", ['["a", 1]', '{"a": 1}', '"a"', "[", "[" * 100_000, "3"])
def test_class_names_that_are_no_list_of_names(text: str) -> None:
    for given in (text, text.encode()):
        assert said(LacalError, lambda g=given: fields_of.names_from_json(Path("a"), g)) == (  # type: ignore[misc]
            "a: class_names in its metadata is not a JSON list of strings; mend or remove the entry"
        )


def test_class_names_as_json() -> None:
    assert fields_of.names_from_json(Path("a"), None) is None
    assert fields_of.names_from_json(Path("a"), b'["a", "\\u00e9"]') == ("a", "é")
    assert fields_of.names_from_json(Path("a"), "[]") == ()


def test_a_text_of_just_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    monkeypatch.setattr(text_of, "MOST_BYTES", 5)
    assert read_text(tmp_path / "a") == "12345"
    monkeypatch.setattr(text_of, "MOST_BYTES", 4)
    sentence = f"{tmp_path}/a: has 5 bytes, expected at most 4 of text"
    assert said(DataError, lambda: read_text(tmp_path / "a")) == sentence


def test_json_of_just_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "it is too long, or holds too many lists and objects"
    monkeypatch.setattr(text_of, "MOST_JSON", 6)
    assert strict_json("[1, 2]") == [1, 2]
    assert said(ValueError, lambda: strict_json("[1, 23]")) == long
    monkeypatch.setattr(text_of, "MOST_JSON", 100)
    monkeypatch.setattr(text_of, "MOST_NESTED", 3)
    assert strict_json('[[{"a": 1}]]') == [[{"a": 1}]]
    for deeper in ('[[[{"a": 1}]]]', '[[{"a": {}}]]', "[[[[]]]]", '{"a":{"b":{"c":{}}}}'):
        assert said(ValueError, lambda d=deeper: strict_json(d)) == long  # type: ignore[misc]


def test_json_that_python_would_take() -> None:
    deep = "[" * 200_000 + "]" * 200_000
    assert said(ValueError, lambda: strict_json(deep)) == "it nests too deep"
    assert said(ValueError, lambda: strict_json('[{"a": 1, "a": 2}]')) == "a key occurs twice"
    for name in ("NaN", "Infinity", "-Infinity"):
        sentence = f"{name} is no number of JSON"
        assert said(ValueError, lambda n=name: strict_json(f"[{n}]")) == sentence  # type: ignore[misc]
    assert json.loads("[1e999]") == strict_json("[1e999]")


def test_lines_of_a_small_table_keep_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n\n , \n"c,d",e\n')
    assert csv_lines(tmp_path / "a.csv") == [(1, ["a", "b"]), (4, ["c,d", "e"])]
    (tmp_path / "a.TSV").write_text("a,b\tc\n")
    assert csv_lines(tmp_path / "a.TSV") == [(1, ["a,b", "c"])]

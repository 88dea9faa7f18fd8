"""JSON of records that are made as they are written: the same text, without all records at once."""

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest

from lacal.json_text import Json, Records, json_text
from lacal.metrics import ClassTally
from lacal.report.numbers import errors


def record(at: int) -> Json:
    return {"class": at, "error": at / 3, "interval": [0.0, at]}


@pytest.mark.parametrize("size", [0, 1, 7])
def test_records_are_a_list_of_themselves(size: int) -> None:
    records, whole = Records(record, size), [record(at) for at in range(size)]
    assert list(records) == whole
    assert records[:3] == whole[:3]
    assert records[::-1] == whole[::-1]
    for how in ({}, {"indent": 1}, {"ensure_ascii": False}):
        expected = json.dumps({"é": [whole]}, **how)
        assert json_text({"é": [records]}, **how) == expected


def test_no_record_behind_the_last() -> None:
    records = Records(record, 2)
    assert records[-1] == record(1)
    with pytest.raises(IndexError):
        records[2]


@pytest.mark.parametrize("value", [np.zeros(2), {1}, object()])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=f"{type(value).__name__} is no JSON"):
        json_text({"a": value})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_no_strict_reader_takes_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(Records(lambda at: {"a": value}, 1))


def test_two_tallies_of_many_classes_are_never_both_in_memory() -> None:
    tally = ClassTally.empty(20_000)
    labels = np.arange(20_000)
    tally.update(labels, np.zeros_like(labels))

    def peak(value: Any) -> int:
        tracemalloc.start()
        try:
            json_text(value)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    one, two = (peak([errors(tally, None, None)["classes"] for _ in range(n)]) for n in (1, 2))
    text = len(json_text(errors(tally, None, None)["classes"]))
    assert two - one < 2 * text

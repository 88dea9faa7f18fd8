"""The record of how a model was trained: read strictly, told in words, and what makes two models one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.errors import DataError
from lacal.rows.source import refuse_corrected
from lacal.trained import (
    KEY,
    TrainingRecord,
    inference_from_note,
    made_otherwise,
    record_from_text,
    record_of_logits,
    same_model,
    training_record,
)
from tests.records import record

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
RECORDS = st.builds(
    record,
    loss=st.text(),
    loss_options=st.dictionaries(st.text(), NUMBERS | st.text() | st.booleans()),
    second_stage=st.none() | st.text(),
    carries=st.sampled_from(["nothing", "part", "prior"]),
    epochs=st.integers(0, 10**6),
    weights=st.none() | st.text(),
)
SPOILT = ["\ud800", ["\udfff"], {"\ud800": 1}, float("inf"), {"tau": -float("inf")}]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(one=RECORDS, newer=st.dictionaries(st.text().map(lambda name: f"+{name}"), JSON))
def test_what_is_written_is_read_also_with_what_a_newer_lacal_adds(
    one: TrainingRecord, newer: dict[str, Any]
) -> None:
    assert record_from_text(one.text(), "here") == one
    assert training_record(json.loads(one.text()), "here") == one
    assert training_record({**newer, **one.json()}, "here") == one
    assert json.loads(one.text()) == one.json()


@given(name=st.sampled_from(list(record().json())), value=JSON)
def test_another_type_is_a_sentence_or_a_record(name: str, value: Any) -> None:
    changed = {**record().json(), name: value}
    found, refused = None, ""
    try:
        found = training_record(changed, "m.onnx")
    except DataError as error:
        refused = str(error)
    if found is None:
        assert refused.startswith("m.onnx: the record of how the model was trained")
    else:
        assert found.json()[name] == value
        assert type(found.epochs) is int


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", 1),
        ("loss", None),
        ("loss_options", ["tau", 1]),
        ("loss_options", {"tau": [1]}),
        ("carries", "all of it"),  # what a newer lacal may mean by it is not known
        ("epochs", 1.5),
        ("epochs", -1),
        ("epochs", True),
        ("second_stage", False),
    ],
)
def test_wrong_values_are_named(name: str, value: Any) -> None:
    with pytest.raises(DataError, match=name):
        training_record({**record().json(), name: value}, "m.onnx")


@pytest.mark.parametrize("value", SPOILT)
@pytest.mark.parametrize("name", record().json())
def test_what_no_other_file_could_hold_is_a_sentence(name: str, value: Any) -> None:
    for changed in ({**record().json(), name: value}, value):
        with pytest.raises(
            DataError, match=r"^m\.onnx: the record .* cannot be read \(half a char"
        ):
            training_record(changed, "m.onnx")
    with pytest.raises(DataError, match=r"^x\.npz: its note of how .*; infer again, or remove it"):
        inference_from_note(json.dumps({name: value}).replace("Infinity", "1e999"), "x.npz")


def test_a_number_of_any_size_is_one_of_the_note() -> None:
    epochs = {**record().json(), "epochs": 10**400}
    assert training_record(epochs, "m.onnx").epochs == 10**400
    assert inference_from_note(json.dumps({KEY: epochs}), "x.npz") == {KEY: epochs}


@pytest.mark.parametrize("note", [None, "", "by hand", "[1]", "[" * 100_000, '"\\ud800"'])
def test_a_note_of_another_tool_says_nothing(note: str | None) -> None:
    assert inference_from_note(note, "x.npz") is None


@pytest.mark.parametrize("name", [name for name in record().json() if name != "weights"])
def test_missing_values_are_named(name: str) -> None:
    values = record().json()
    del values[name]
    with pytest.raises(DataError, match=name):
        training_record(values, "m.onnx")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        '{"loss": NaN}',
        "[]",
        "null",
        b"\xff",
        record().text()[:-1] + ',"loss":"x"}',  # which of the two?
    ],
)
def test_text_that_is_no_record(text: str | bytes) -> None:
    with pytest.raises(
        DataError, match=r"^m\.onnx: the record .*; expected what lacal train wrote"
    ):
        record_from_text(text, "m.onnx")


def test_no_record_is_no_fault() -> None:
    assert record_from_text(None, "m.onnx") is None
    for inference in (None, {}, {KEY: None}):
        assert record_of_logits(inference, "x.npz") is None
    with pytest.raises(DataError, match=r"^x\.npz: "):
        record_of_logits({KEY: "logit-adjusted"}, "x.npz")


def test_only_the_whole_correction_is_refused_and_only_unasked() -> None:
    for carries in ("nothing", "part"):
        refuse_corrected(record(carries=carries), "x.npz", force=False)
    refuse_corrected(None, "x.npz", force=False)
    refuse_corrected(record(carries="prior"), "x.npz", force=True)
    with pytest.raises(DataError, match=r"^x\.npz: .*'logit-adjusted'.*raw logits.*--force-adjust"):
        refuse_corrected(record(carries="prior"), "x.npz", force=False)


def test_the_words_name_all_that_put_the_correction_in_and_hide_no_escapes() -> None:
    assert record().described() == "the loss 'logit-adjusted'"
    both = record(loss="softmax", sampler="class-balanced", second_stage="crt").described()
    assert both == "the loss 'softmax', the sampler 'class-balanced', the second stage 'crt'"
    hostile = record(loss="\x1b[31m\u202ex", sampler="\n", second_stage="\r", carries="part")
    assert all(sentence.isprintable() for sentence in hostile.cautions())
    assert record(carries="nothing").cautions() == []


@given(one=RECORDS, other=RECORDS, files=st.booleans())
def test_one_file_or_one_networks_weights_are_one_model(
    one: TrainingRecord, other: TrainingRecord, files: bool
) -> None:
    here = {"model_sha256": "a", KEY: one.json()}
    there = {"model_sha256": "a" if files else "b", KEY: other.json()}
    same = files or (one.weights is not None and one.weights == other.weights)
    assert same_model(here, there) is same is same_model(there, here)
    assert not same_model({"model_sha256": "a"}, {"model_sha256": "b"})
    assert not same_model({"model_sha256": "a", KEY: "odd"}, {"model_sha256": "b", KEY: "odd"})


def test_logits_of_no_model_file_are_told_apart_by_the_weights() -> None:
    """As `lacal train` stores them."""
    of = {name: {KEY: record(weights=name).json()} for name in ("v", "w")}
    assert same_model(of["v"], of["v"])
    assert not same_model(of["v"], of["w"])
    assert not same_model(of["v"], {})
    assert same_model({"by": "hand"}, {"by": "foot"})  # nothing is known to differ


STORED: dict[str, Any] = {"adjusted": False, "batch_size": 8, KEY: record(weights="w").json()}
RUN: dict[str, Any] = {**STORED, "model_sha256": "a", "output": "logits", "device": "cuda"}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (STORED, None),
        ({**RUN, "model_sha256": "another export", "batch_size": 2, "device": "cpu"}, None),
        ({**RUN, KEY: record(weights="v").json(), "model_sha256": "b"}, "another model"),
        ({**RUN, KEY: record(weights="w", carries="part").json()}, "another record of its training"),
        ({name: value for name, value in RUN.items() if name != KEY}, "another record of its training"),
        ({**RUN, "adjusted": True}, "adjusted otherwise"),
        ({**RUN, "output": "aux"}, "another output"),
        ({}, "another model"),
    ],
)  # fmt: skip
def test_what_keeps_logits_of_two_runs_apart(other: dict[str, Any], words: str | None) -> None:
    for found in (made_otherwise(RUN, other), made_otherwise(other, RUN)):
        assert found is None if words is None else words in str(found)

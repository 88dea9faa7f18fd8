"""Arrays on their way into a model: values, axes and types held against the plain formula."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lacal.errors import DataError, UsageError
from lacal.inputs.described import described, recorded
from lacal.inputs.preprocessing import PRESETS, Preprocessing
from lacal.inputs.settled import Settled
from lacal.inputs.settling import settle
from lacal.models.model import Port

Array = np.ndarray[Any, Any]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NUMBERS = ["uint8", "int8", "int16", "uint16", "int32", "int64", "float16", "float32", "float64"]


def port(*sides: int | None, dtype: str | None = "float32") -> Port:
    return Port("x", dtype, (None, *sides))


def settled(said: Preprocessing, takes: Port, data: Array) -> Settled:
    return settle(
        said, takes, stored=str(data.dtype), shape=data.shape, images=False, place="a.npy"
    )


def tensor(said: Preprocessing, takes: Port, data: Array) -> Array:
    return settled(said, takes, data).tensor(data)


def values(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if dtype.startswith("float"):
        return rng.normal(0, 50, shape).astype(dtype)
    kind = np.iinfo(dtype)
    return rng.integers(max(kind.min, -(2**24)), min(kind.max, 2**24), shape, dtype, endpoint=True)


@given(
    st.sampled_from(NUMBERS),
    st.sampled_from(["float32", "float64", None]),
    st.sampled_from(["NCHW", "NHWC"]),
    st.booleans(),
    st.sampled_from([1, 3]),
    st.sampled_from([1.0, 1 / 255, 0.1]),
    st.integers(0, 4),
)
def test_values_agree_with_the_plain_formula(
    stored: str, dtype: str | None, layout: Any, turned: bool, several: int, scale: float, rows: int
) -> None:
    sides = (3, 4, 5) if layout == "NCHW" else (4, 5, 3)
    data = values((rows, *sides), stored)
    mean, std = MEAN[:several], STD[:several]
    axes = (0, 1, 2, 3)
    if turned:  # the file holds the other order
        axes = (0, 2, 3, 1) if layout == "NCHW" else (0, 3, 1, 2)
    given_data, before = np.ascontiguousarray(data.transpose(axes)), data.copy()
    said = Preprocessing(scale=scale, mean=mean, std=std, layout=layout)
    got = tensor(said, port(*sides, dtype=dtype), given_data)

    shape = (several, 1, 1) if layout == "NCHW" else (several,)
    mean64, std64 = np.array(mean).reshape(shape), np.array(std).reshape(shape)
    raw = data.astype(np.float64) * scale
    near = 4 * 2.0**-24 * ((np.abs(raw) + mean64) / std64)
    assert got.dtype == (dtype or "float32")
    assert got.flags.c_contiguous
    assert got.flags.owndata
    assert (np.abs(got - (raw - mean64) / std64) <= near).all()
    np.testing.assert_array_equal(data, before)


def test_features_are_standardised_column_by_column() -> None:
    data = np.array([[1e9 + 1, 5], [1e9 + 3, 7]])
    got = tensor(Preprocessing(mean=(1e9, 6), std=(1, 2)), port(2), data)
    np.testing.assert_array_equal(got, np.array([[1, -0.5], [3, 0.5]], np.float32))
    assert tensor(Preprocessing(scale=2), port(2), data)[0, 1] == 10


@pytest.mark.parametrize(
    ("said", "takes", "shape", "words"),
    [
        (Preprocessing(mean=MEAN), port(None, None, None), (2, 4, 4, 4), "which axis|along which"),
        (Preprocessing(mean=MEAN), port(3, 4, 3), (2, 3, 4, 3), "--layout NCHW or --layout NHWC"),
        (Preprocessing(scale=0.5), port(4, dtype="int64"), (2, 4), "takes int64.*leave them out"),
        (Preprocessing(resize=32), port(4), (2, 4), "--resize is for encoded images"),
        (Preprocessing(crop=32), port(4), (2, 4), "--crop is for encoded images"),
        (Preprocessing(channels="BGR"), port(4), (2, 4), "--channels is for encoded images"),
        (PRESETS["imagenet"], port(4), (2, 4), "--preset that brings it"),
    ],
)
def test_options_that_arrays_cannot_follow(
    said: Preprocessing, takes: Port, shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        settled(said, takes, np.zeros(shape, np.float32))


def test_pixels_with_a_mean_need_a_scale() -> None:
    data = np.zeros((2, 3, 4, 4), np.uint8)
    with pytest.raises(UsageError, match=r"say --scale 1; .*--scale 1/255"):
        settled(Preprocessing(mean=MEAN, std=STD), port(3, 4, 4), data)


@pytest.mark.parametrize(("sides", "count"), [((5,), 3), ((3, 7), 3)])
def test_as_many_values_as_channels(sides: tuple[int, ...], count: int) -> None:
    said = Preprocessing(mean=(0.5,) * count)
    with pytest.raises(DataError, match=f"have {count} values, the data are"):
        tensor(said, port(*sides), np.zeros((2, *sides), np.float32))


SIDES = st.tuples(*[st.sampled_from([1, 3, 4])] * 3)


@given(SIDES, SIDES, st.tuples(*[st.booleans()] * 3), st.sampled_from([None, "NCHW", "NHWC"]))
def test_axes_are_turned_only_where_said(
    sides: tuple[int, ...], wanted: tuple[int, ...], dynamic: tuple[bool, ...], layout: Any
) -> None:
    takes = tuple(None if free else side for free, side in zip(dynamic, wanted, strict=True))

    def fits(shape: tuple[int, ...]) -> bool:
        return all(want in (None, side) for want, side in zip(takes, shape, strict=True))

    data = values((2, *sides), "float32")
    said = Preprocessing(layout=layout)
    turned = data.transpose(*((0, 3, 1, 2) if layout == "NCHW" else (0, 2, 3, 1)))
    if fits(sides):
        # Where both orders fit, the one whose channel axis can be one goes first, as the file has it.
        at = 0 if layout == "NCHW" else 2
        other = layout is not None and fits(turned.shape[1:])
        turns = other and sides[at] == 4 and turned.shape[1 + at] != 4
        np.testing.assert_array_equal(tensor(said, port(*takes), data), turned if turns else data)
    elif layout is not None and fits(turned.shape[1:]):
        np.testing.assert_array_equal(tensor(said, port(*takes), data), turned)
    else:
        with pytest.raises(DataError, match=r"the data are.*the model takes"):
            settled(said, port(*takes), data)


def test_the_other_order_is_named() -> None:
    data = values((2, 32, 32, 3), "uint8")
    with pytest.raises(DataError, match=r"looks like NHWC.*\(n, 3, 32, 32\).*say --layout NCHW"):
        settled(Preprocessing(), port(3, 32, 32), data)
    with pytest.raises(DataError, match=r"looks like NCHW.*say --layout NHWC"):
        settled(Preprocessing(), port(32, 32, 3), np.moveaxis(data, 3, 1))
    with pytest.raises(DataError, match=r"looks like NCHW.*say --layout NHWC"):
        settled(Preprocessing(layout="NCHW"), port(32, 32, 3), np.moveaxis(data, 3, 1))
    # Nothing is known of a TorchScript model; what the user says of it is enough.
    takes = Port("x", None, None)
    got = tensor(Preprocessing(layout="NCHW"), takes, data)
    np.testing.assert_array_equal(got, np.moveaxis(data, 3, 1))
    np.testing.assert_array_equal(tensor(Preprocessing(), takes, data), data)


def test_a_channel_axis_is_added_where_it_fits_once() -> None:
    data = values((5, 8, 9), "float32")
    first, last = data[:, None], data[..., None]
    any_layout = port(None, None, None)
    np.testing.assert_array_equal(tensor(Preprocessing(), port(1, 8, 9), data), first)
    np.testing.assert_array_equal(tensor(Preprocessing(), port(8, 9, 1), data), last)
    np.testing.assert_array_equal(tensor(Preprocessing(), port(None, 8, 9), data), first)
    np.testing.assert_array_equal(tensor(Preprocessing(layout="NHWC"), any_layout, data), last)
    np.testing.assert_array_equal(tensor(Preprocessing(layout="NCHW"), any_layout, data), first)
    with pytest.raises(UsageError, match="where does the channel go"):
        settled(Preprocessing(), any_layout, data)
    with pytest.raises(DataError, match=r"\(n, 8, 9\), the model takes \(n, 3, 8, 9\)"):
        settled(Preprocessing(), port(3, 8, 9), data)
    with pytest.raises(DataError, match=r"takes \(n, 1, 8, 9\)"):
        settled(Preprocessing(layout="NHWC"), port(1, 8, 9), data)


@pytest.mark.parametrize(("sides", "wanted"), [((72,), (1, 8, 9)), ((7,), (8,)), ((), (8,))])
def test_other_shapes_are_refused(sides: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    data = np.zeros((3, *sides), np.float32)
    with pytest.raises(DataError, match="the data are"):
        settled(Preprocessing(), port(*wanted), data)
    later = settle(
        Preprocessing(), port(*wanted), stored="float32", shape=None, images=False, place="a.npy"
    )
    with pytest.raises(DataError, match="input 'x': the data are"):
        later.tensor(data)


@example("int64", "float32", [0.0, 2.0**24, 2.0**24 + 1])
@example("int64", "float32", [-(2.0**24), 2.0**24])
@example("uint16", "float16", [2048.0])
@given(
    st.sampled_from(NUMBERS),
    st.sampled_from([*NUMBERS, "bool"]),
    st.lists(
        st.floats(-1e6, 1e6)
        | st.sampled_from([0.0, 1.0, 127, 128, 255, 256, 2048, 2**24, 2**24 + 1])
    ),
)
def test_a_cast_keeps_every_number_or_names_its_row(
    stored: str, dtype: str, numbers: list[float]
) -> None:
    with np.errstate(all="ignore"):
        data = np.array(numbers).astype(stored)[:, None]
        data = np.nan_to_num(data, posinf=1, neginf=-1)
        narrow = data.astype(dtype)
    floats = data.dtype.kind == "f"
    if floats and np.dtype(dtype).kind != "f":
        with pytest.raises(DataError, match=r"holds floats.*whole numbers"):
            settled(Preprocessing(), port(1, dtype=dtype), data)
        return
    one = settled(Preprocessing(), port(1, dtype=dtype), data)
    wide = narrow.astype(np.float64)
    lost = np.isinf(wide) if floats else wide != data.astype(np.float64)
    if not floats and dtype.startswith("float"):
        # Some integers beyond those that a float holds without a gap are held too, and refused.
        lost |= np.abs(data.astype(np.int64)) > 2 ** (np.finfo(dtype).nmant + 1)
    if lost.any():
        fault = (
            f"row {1000 + int(lost.argmax()):,} (is too large for {dtype}|holds .* {dtype} cannot)"
        )
        with pytest.raises(DataError, match=fault):
            one.tensor(data, start=1000)
        return
    got = one.tensor(data, start=1000)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, narrow)


def test_models_without_types_take_float32_and_integers() -> None:
    takes = Port("x", None, None)
    for stored, dtype in (("float64", "float32"), ("int64", "int64"), ("uint8", "uint8")):
        assert tensor(Preprocessing(), takes, values((2, 3), stored)).dtype == dtype
    assert tensor(Preprocessing(scale=1 / 255), takes, values((2, 3), "uint8")).dtype == "float32"


def test_scaled_values_beyond_the_type() -> None:
    data = np.array([[1.0], [1e300], [np.inf], [np.nan]])
    with pytest.raises(DataError, match=r"row 8 is too large for float32"):
        settled(Preprocessing(scale=2), port(1), data).tensor(data, start=7)
    data[1] = 3
    got = tensor(Preprocessing(scale=2), port(1), data)
    np.testing.assert_array_equal(got, np.array([[2], [6], [np.inf], [np.nan]], np.float32))


@pytest.mark.parametrize("dtype", ["bfloat16", "str", "object", "complex64", "float8_of_none"])
def test_models_of_strange_types(dtype: str) -> None:
    with pytest.raises(DataError, match=f"takes '{dtype}', which lacal cannot give"):
        settled(Preprocessing(), port(2, dtype=dtype), np.zeros((1, 2)))


@pytest.mark.parametrize(
    ("stored", "dtype", "same"),
    [
        ("uint8", "uint8", True),
        (">f4", "float32", True),
        ("U8", "uint8", True),
        ("F32", "float32", True),
        ("BF16", "float32", True),
        ("float", "float32", True),
        ("double", "float64", True),
        ("fixed_size_list<item: float>[3]", "float32", True),
        ("list<element: double>", "float32", False),
        ("extension<arrow.fixed_shape_tensor[value_type=uint8, shape=[3]]>", "uint8", True),
        ("nothing known", "float32", False),
    ],
)
def test_files_words_for_types(stored: str, dtype: str, same: bool) -> None:
    one = settle(
        Preprocessing(),
        port(3, dtype=dtype),
        stored=stored,
        shape=(None, 3),
        images=False,
        place="a",
    )
    assert (one.stored is not None and one.stored == one.target(one.stored)) == same


@pytest.mark.parametrize("stored", ["string", "<U5"])
def test_text_is_no_input(stored: str) -> None:
    for takes in (port(3), Port("x", None, None)):
        with pytest.raises(DataError, match="expected numbers"):
            settle(Preprocessing(), takes, stored=stored, shape=(2, 3), images=False, place="a")


@pytest.mark.parametrize("said", [Preprocessing(), Preprocessing(scale=1, layout="NCHW")])
def test_what_needs_nothing_stays_to_the_bit(said: Preprocessing) -> None:
    data = values((4, 3, 2, 2), "float32")
    one = settled(said, port(3, 2, 2), data)
    assert one.tensor(data).tobytes() == data.tobytes()
    assert not np.shares_memory(one.tensor(data), data)


def test_what_is_done_to_arrays_is_said() -> None:
    data = values((4, 32, 32, 3), "uint8")
    one = settled(
        Preprocessing(scale=1 / 255, mean=MEAN, std=STD, layout="NCHW"), port(3, 32, 32), data
    )
    assert described(one) == [
        "arrays: uint8 (n, 32, 32, 3), turned to NCHW, x 1/255, mean 0.485 0.456 0.406, "
        "std 0.229 0.224 0.225, cast to float32"
    ]
    said = recorded(one)
    assert json.loads(json.dumps(said)) == said
    assert (said["scale"], said["mean"], said["layout"]) == (1 / 255, list(MEAN), "NCHW")
    as_is = settled(Preprocessing(), port(7), values((4, 7), "float32"))
    assert described(as_is) == ["arrays: float32 (n, 7), as they are"]
    gray = settled(Preprocessing(), port(1, 8, 8), values((4, 8, 8), "float64"))
    assert described(gray) == [
        "arrays: float64 (n, 8, 8), channel axis added first, cast to float32"
    ]

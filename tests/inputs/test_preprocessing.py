"""Options of preprocessing, and the questions they must answer about images."""

import pytest

from lacal.errors import DataError, LacalError, UsageError
from lacal.inputs.preprocessing import PRESETS, Preprocessing
from lacal.inputs.settling import settle
from lacal.models.model import Port

MEAN = (0.485, 0.456, 0.406)


def port(*sides: int | None, dtype: str | None = "float32") -> Port:
    return Port("x", dtype, (None, *sides))


def test_options_from_their_texts() -> None:
    said = Preprocessing.parse(
        resize="256",
        crop="192x224",
        scale="1/255",
        mean="0.5",
        std="1, 2,4e-1",
        layout="nchw",
        channels="bgr",
    )
    assert said == Preprocessing(256, (192, 224), 1 / 255, (0.5,), (1.0, 2.0, 0.4), "NCHW", "BGR")
    assert Preprocessing.parse() == Preprocessing()


def test_options_go_before_the_preset() -> None:
    said = Preprocessing.parse(preset="imagenet", crop="192", std="1,1,1")
    assert (said.resize, said.crop, said.mean, said.std) == (256, 192, MEAN, (1.0, 1.0, 1.0))
    assert Preprocessing.parse(preset="cifar10") == PRESETS["cifar10"]


def test_a_presets_numbers_follow_the_order_of_channels() -> None:
    said = Preprocessing.parse(preset="imagenet", channels="BGR", std="1,2,3")
    assert said.mean == MEAN[::-1]
    assert said.std == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("preset", "imagenets"),
        ("resize", ""),
        ("resize", "0"),
        ("resize", "-4"),
        ("resize", "12.5"),
        ("resize", "3x4x5"),
        ("resize", "1000000"),
        ("crop", "224x0"),
        ("crop", "²"),
        ("scale", "1/0"),
        ("scale", "1/"),
        ("scale", "nan"),
        ("scale", "-1"),
        ("scale", "1/255/2"),
        ("mean", ""),
        ("mean", "0.1,,0.2"),
        ("mean", "inf"),
        ("std", "0.1,0"),
        ("std", "-1"),
        ("std", "one"),
        ("layout", "NCWH"),
        ("channels", "RGBA"),
    ],
)
def test_texts_that_cannot_be_read(option: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"^--{option}: .*expected"):
        Preprocessing.parse(**{option: text})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mean": "1,2,3", "std": "1,2"}, "--mean has 3 values and --std 2"),
        ({"resize": "200", "crop": "224"}, "--crop: is larger"),
        ({"resize": "300x200", "crop": "224"}, "--crop: is larger"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Preprocessing.parse(**options)


RAW = Preprocessing(scale=1)


@pytest.mark.parametrize(
    ("said", "takes", "error", "words"),
    [
        (Preprocessing(), port(3, 32, 32), UsageError, "--preset imagenet, or --scale 1/255"),
        (Preprocessing(mean=MEAN), port(3, 32, 32), UsageError, "say how pixels become inputs"),
        (RAW, port(None, None, None), UsageError, "say --layout NCHW or --layout NHWC"),
        (RAW, port(3, 32, 3), UsageError, "say --layout NCHW or --layout NHWC"),
        (RAW, Port("x", None, None), UsageError, "does not say its shape.*--layout"),
        (RAW, port(4, 32, 32), DataError, "found in neither place"),
        (RAW, port(784), DataError, r"takes \(n, 784\); images are"),
        (Preprocessing(scale=1, layout="NHWC"), port(3, 8, 8), UsageError, "which is not NHWC"),
        (Preprocessing(scale=1, layout="NCHW"), port(None, 8, 8), UsageError, "--channels RGB"),
        (Preprocessing(scale=1, channels="L"), port(3, 8, 8), UsageError, "expected RGB or BGR"),
        (Preprocessing(scale=1, channels="RGB"), port(1, 8, 8), UsageError, "expected L"),
        (Preprocessing(scale=1, mean=MEAN), port(1, 8, 8), UsageError, "takes L; --mean has 3"),
        (Preprocessing(scale=1, std=(1, 2)), port(3, 8, 8), UsageError, "--std has 2 .* 1 or 3"),
        (
            PRESETS["imagenet"],
            port(3, 32, 32),
            UsageError,
            "--crop gives 224x224; say --crop 32x32",
        ),
        (Preprocessing(scale=1, resize=(8, 9)), port(3, 8, 8), UsageError, "--resize gives 8x9"),
        (Preprocessing(scale=2), port(3, 8, 8, dtype="uint8"), UsageError, "go raw, 0..255"),
        (PRESETS["cifar10"], port(3, 8, 8, dtype="int32"), UsageError, "go raw, 0..255"),
        (RAW, port(3, 8, 8, dtype="bool"), UsageError, "takes bool"),
        (RAW, port(3, 8, 8, dtype="str"), DataError, "which lacal cannot give"),
    ],
)
def test_questions_about_images(
    said: Preprocessing, takes: Port, error: type[LacalError], words: str
) -> None:
    pytest.importorskip("PIL")
    with pytest.raises(error, match=f"^photos: input 'x'.*{words}"):
        settle(said, takes, stored="image file", shape=None, images=True, place="photos")


@pytest.mark.parametrize(
    ("said", "takes", "layout", "channels", "size"),
    [
        (RAW, port(3, None, None), "NCHW", "RGB", (None, None)),
        (RAW, port(None, None, 3), "NHWC", "RGB", (None, None)),
        (RAW, port(1, 28, 28), "NCHW", "L", (28, 28)),
        (RAW, port(28, 28), None, "L", (28, 28)),
        (Preprocessing(), port(3, 8, 8, dtype="uint8"), "NCHW", "RGB", (8, 8)),
        (PRESETS["imagenet"], port(3, None, None), "NCHW", "RGB", (224, 224)),
        (PRESETS["imagenet"], port(3, 224, None), "NCHW", "RGB", (224, 224)),
        (Preprocessing(scale=1, resize=(4, 5)), port(3, None, None), "NCHW", "RGB", (4, 5)),
        (Preprocessing(scale=1, resize=7), port(3, None, None), "NCHW", "RGB", (None, None)),
        (Preprocessing(scale=1, layout="NHWC"), port(3, 5, 3), "NHWC", "RGB", (3, 5)),
        (
            Preprocessing(scale=1, mean=MEAN, layout="NCHW"),
            Port("x", None, None),
            "NCHW",
            "RGB",
            (None, None),
        ),
    ],
)
def test_answers_found_in_the_model(
    said: Preprocessing, takes: Port, layout: str | None, channels: str, size: tuple[int, int]
) -> None:
    pytest.importorskip("PIL")
    one = settle(said, takes, stored="image file", shape=None, images=True, place="photos")
    assert (one.layout, one.channels, one.size) == (layout, channels, size)

"""Where a head's norms and bias are found, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lacal.errors import DataError
from lacal.head import read_head

WEIGHT = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
BIAS = np.arange(4, dtype=np.float32)
NORMS = np.linalg.norm(WEIGHT.astype(np.float64), axis=1)


def saved(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "head.npz", allow_pickle=False, **arrays)
    return folder / "head.npz"


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "pt"])
@pytest.mark.parametrize("names", [("weight", "bias"), ("fc.weight", "fc.bias"), ("W", "b")])
def test_weight_and_bias_in_every_format(
    tmp_path: Path, suffix: str, names: tuple[str, str]
) -> None:
    path, arrays = tmp_path / f"head.{suffix}", dict(zip(names, (WEIGHT, BIAS), strict=True))
    match suffix:
        case "npz":
            with path.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
        case "safetensors":
            save_file(arrays, path)
        case _:
            torch = pytest.importorskip("torch")
            torch.save({name: torch.tensor(value) for name, value in arrays.items()}, path)
    head = read_head(path, classes=4)
    np.testing.assert_allclose(head.weight_norms, NORMS, rtol=1e-12)
    np.testing.assert_array_equal(head.bias, BIAS)


def test_norms_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "norms.npy", NORMS)
    head = read_head(tmp_path / "norms.npy", classes=4)
    np.testing.assert_array_equal(head.weight_norms, NORMS)
    assert head.bias is None
    named = read_head(saved(tmp_path, weight_norms=NORMS, bias=BIAS), classes=4)
    np.testing.assert_array_equal(named.bias, BIAS)


def test_the_only_fitting_matrix_is_the_weight(tmp_path: Path) -> None:
    path = saved(tmp_path, embed=np.ones((9, 6)), classifier=WEIGHT)
    np.testing.assert_allclose(read_head(path, classes=4).weight_norms, NORMS, rtol=1e-12)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"weight": WEIGHT.T}, "looks transposed"),
        ({"weight": WEIGHT[:3]}, r"shape \(4, features\)"),
        ({"a": WEIGHT, "b2": WEIGHT}, "expected one weight"),
        ({"weight": np.where(WEIGHT > 1, np.nan, WEIGHT)}, "holds NaN"),
        ({"weight": np.vstack([WEIGHT[:3], np.zeros(6)])}, "norm of class 3 is 0"),
        ({"norms": -NORMS}, "norm of class 0 is -"),
        ({"weight": 1e200 * np.ones((4, 4))}, r"class 0 is 2e\+200, expected from 1e-50 to 1e\+50"),
        ({"weight": 1e-200 * np.ones((4, 4))}, "class 0 is 2e-200, expected from 1e-50 to"),
        ({"weight": 1.7e308 * np.ones((4, 4))}, "norm of class 0 is inf, expected from"),
        ({"norms": np.array([1, 1, 1e60, 1])}, r"norm of class 2 is 1e\+60, expected from"),
        ({"weight": WEIGHT, "bias": np.array([1, -1e60, 1, 1])}, r"bias of class 1 is -1e\+60"),
        ({"norms": NORMS[:3]}, r"shape \(3,\), expected \(4,\)"),
        ({"weight": WEIGHT, "bias": BIAS[:3]}, r"'bias' has shape \(3,\)"),
        ({"weight": WEIGHT, "bias": np.full(4, np.inf)}, "'bias' must hold finite"),
        ({"names": np.array(["a", "b", "c", "d"])}, "got no matrix|finite numbers"),
    ],
)
def test_refused(tmp_path: Path, arrays: dict[str, np.ndarray], fault: str) -> None:
    path = saved(tmp_path, **arrays)
    with pytest.raises(DataError, match=fault) as caught:
        read_head(path, classes=4)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("size", [1e-45, 1e-38, 3e38])
def test_whatever_float32_holds_is_a_head(tmp_path: Path, size: float) -> None:
    weight = (size * np.array([[1, 1], [1, -1], [0, 1]])).astype(np.float32)
    norms = read_head(saved(tmp_path, weight=weight), classes=3).weight_norms
    own = float(weight[2, 1])
    np.testing.assert_allclose(norms, [own * 2**0.5, own * 2**0.5, own], rtol=1e-15)


def test_class_names_in_the_head_must_agree(tmp_path: Path) -> None:
    path = saved(tmp_path, weight=WEIGHT, class_names=np.array(list("abdc")))
    with pytest.raises(DataError, match="in another order"):
        read_head(path, classes=4, class_names=("a", "b", "c", "d"))


def test_the_bias_of_the_layer_that_was_taken(tmp_path: Path) -> None:
    """A state dict holds many layers; the bias is that of the head's weight, not of any."""
    random = np.random.default_rng(0)
    state = {
        "0.weight": random.standard_normal((8, 5)),
        "0.bias": random.standard_normal(8),
        "3.weight": random.standard_normal((4, 8)),
        "3.bias": random.standard_normal(4),
    }
    save_file(state, tmp_path / "state.safetensors")
    head = read_head(tmp_path / "state.safetensors", classes=4)
    assert head.bias is not None
    np.testing.assert_array_equal(head.bias, state["3.bias"])
    assert head.found == "'3.weight' with bias '3.bias'"
    del state["3.bias"]
    save_file(state, tmp_path / "state.safetensors")
    assert read_head(tmp_path / "state.safetensors", classes=4).found == "'3.weight', no bias"

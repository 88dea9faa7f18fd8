"""What every public function that takes arrays promises, in one table that a test holds complete.

Whatever the arrays' layout (read-only, Fortran order, strided, reversed, the other byte order) the answer is the same;
the arrays are as they were; asked again, it says the same. Of rows, beyond that:

- `EACH`: a row's answer depends on that row alone, so that any rows in any order give those rows' answers;
- `ORDERED`: rows in another order give the answers in that order;
- `SUMMED`: rows in another order give the same answer.

These are the checks of scikit-learn's `check_estimator` that apply to functions.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

torch = pytest.importorskip("torch")

import lacal.fits
import lacal.losses
import lacal.metrics
import lacal.tau
from lacal.batch import Batch
from lacal.fits.log_loss import HeldRows
from lacal.tau.path import TauPath
from lacal.tau.resampling import Sample
from tests.contracts import of_fits, of_losses, of_metrics, of_tau
from tests.contracts.given import A_CLASS, A_ROW, EACH, SUMMED, WHOLE, Arrays, Contract, arrays

ROOMS = (lacal.fits, lacal.losses, lacal.metrics, lacal.tau)
FILES = ("adjustment", "measure", "measures", "methods", "probabilities", "ranks", "trained")
CONTRACTS = of_fits.CONTRACTS | of_losses.CONTRACTS | of_metrics.CONTRACTS | of_tau.CONTRACTS


def takes_arrays(annotation: Any) -> bool:
    """Whether an argument so annotated is an array, a tensor, or rows that hold arrays."""
    if annotation in (np.ndarray, torch.Tensor, ArrayLike, Batch, HeldRows, TauPath, Sample):
        return True
    if typing.get_origin(annotation) is np.ndarray:
        return True
    return any(takes_arrays(one) for one in typing.get_args(annotation))


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Of the rooms of arithmetic: functions, and methods of classes that are no protocols."""
    modules = [
        f"{room.__name__}.{one.name}"
        for room in ROOMS
        for one in pkgutil.iter_modules(room.__path__)
    ]
    for name in [*modules, *(f"lacal.{one}" for one in FILES)]:
        for known, one in vars(importlib.import_module(name)).items():
            if known.startswith("_") or getattr(one, "__module__", None) != name:
                continue
            if inspect.isfunction(one):
                yield f"{name}.{known}", one
            elif inspect.isclass(one) and not getattr(one, "_is_protocol", False):
                for method, value in vars(one).items():
                    plain = getattr(value, "__func__", value)
                    if inspect.isfunction(plain) and not method.startswith("_"):
                        yield f"{name}.{known}.{method}", plain


def test_the_table_is_complete() -> None:
    named_elsewhere = {"Groups": None, "Evaluation": None}  # imported for the type checker alone
    taking = set()
    for name, function in public_functions():
        hints = typing.get_type_hints(function, localns=named_elsewhere)
        hints.pop("return", None)
        if any(takes_arrays(one) for one in hints.values()):
            taking.add(name.removeprefix("lacal."))
    assert taking == set(CONTRACTS)


def leaves(value: Any) -> Iterator[NDArray[Any]]:
    """Every number of an answer, as arrays."""
    if isinstance(value, torch.Tensor):
        yield value.detach().numpy()
    elif isinstance(value, np.ndarray):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name))
    elif isinstance(value, tuple | list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from leaves(one)
    elif isinstance(value, bool | int | float | np.generic):
        yield np.asarray(value)
    else:
        assert value is None or isinstance(value, str), type(value)


def check_same(one: Any, other: Any) -> None:
    """The same numbers; floats but for the order in which they are summed."""
    numbers, others = list(leaves(one)), list(leaves(other))
    assert len(numbers) == len(others)
    for a, b in zip(numbers, others, strict=True):
        assert (a.shape, a.dtype.newbyteorder("=")) == (b.shape, b.dtype.newbyteorder("="))
        close = 1e-5 if a.dtype == np.float32 else 1e-11
        np.testing.assert_allclose(a, b, rtol=close, atol=close, equal_nan=True)


def given(contract: Contract, seed: int) -> Arrays:
    every = arrays(seed)
    return {name: every[name] for name in contract.arguments}


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array: NDArray[Any]) -> NDArray[Any]:
    """Every second entry of a larger array, whose others are wrong."""
    wide = np.full([2 * one for one in array.shape], array.ravel()[0])
    view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def swapped(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(array.dtype.newbyteorder())


LAYOUTS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "strided": strided,
    "reversed": lambda array: array[::-1].copy()[::-1],
    "other byte order": swapped,
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_layouts_change_nothing_and_arrays_stay_as_they_are(name: str) -> None:
    contract = CONTRACTS[name]
    plain = given(contract, 0)
    expected = contract.call(**given(contract, 0))
    check_same(contract.call(**given(contract, 0)), expected)
    for layout in LAYOUTS.values():
        turned = {name: layout(array) for name, array in plain.items()}
        check_same(contract.call(**turned), expected)
        check_same(turned, {name: layout(array) for name, array in plain.items()})
        check_same(contract.call(**turned), expected)  # asked again


@pytest.mark.parametrize("name", [name for name, one in CONTRACTS.items() if one.rows != WHOLE])
def test_the_order_of_rows(name: str) -> None:
    contract = CONTRACTS[name]
    rows = row_arguments(contract)
    assert rows, "a function of rows is given some"
    for seed in range(3):
        plain = given(contract, seed)
        expected = contract.call(**plain)
        order = np.random.default_rng(seed).permutation(len(plain[rows[0]]))
        found = contract.call(
            **{name: one[order] if name in rows else one for name, one in plain.items()}
        )
        check_same(found, expected if contract.rows == SUMMED else in_order(expected, order))


@pytest.mark.parametrize("name", [name for name, one in CONTRACTS.items() if one.rows == EACH])
def test_a_row_alone_is_as_among_others(name: str) -> None:
    contract = CONTRACTS[name]
    rows = row_arguments(contract)
    plain = given(contract, 0)
    expected = contract.call(**plain)
    for some in (np.array([1]), np.array([0, 3, 4]), np.arange(len(plain[rows[0]]) - 1)):
        found = contract.call(
            **{name: one[some] if name in rows else one for name, one in plain.items()}
        )
        check_same(found, in_order(expected, some))


def row_arguments(contract: Contract) -> list[str]:
    """What is permuted together: rows, or where there are none the classes, or the taus."""
    for group in (A_ROW, A_CLASS, {"taus"}):
        if found := [name for name in contract.arguments if name in group]:
            return found
    return []


def in_order(answer: Any, rows: NDArray[np.int64]) -> list[NDArray[Any]]:
    return [one[rows] for one in leaves(answer)]

"""The two-Gaussian benchmark on few trials: the population values of Menon's experiment come out."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("torch")

RARE = 0.05  # share of class 1
PATH = Path(__file__).parent.parent / "benchmarks" / "two_gaussians.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("two_gaussians", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PATH.parent)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trials(benchmark: ModuleType) -> object:
    return benchmark.run(4, seed=0)


def column(benchmark: ModuleType, title: str) -> int:
    return [row.title for row in benchmark.TABLE].index(title)


def test_every_loss_reaches_its_reference_error_on_endless_data(benchmark: ModuleType) -> None:
    reference = np.array([row.reference for row in benchmark.TABLE])
    # to the last digit printed there
    np.testing.assert_allclose(benchmark.population(), reference, atol=0.0051)


def test_quadrature_is_a_population(benchmark: ModuleType) -> None:
    whole = benchmark.nodes()
    rare = whole.labels == 1
    np.testing.assert_allclose(whole.weights[rare].sum(), RARE, rtol=1e-12)
    moments = [(whole.weights[rare] * whole.inputs[rare].T ** p).sum(axis=1) for p in (1, 2)]
    np.testing.assert_allclose(moments[0] / RARE, [1, 1], rtol=1e-12)
    np.testing.assert_allclose(moments[1] / RARE, [2, 2], rtol=1e-12)


def test_a_few_trials_lie_about_the_population_values(
    benchmark: ModuleType, trials: object
) -> None:
    exact = trials.exact  # type: ignore[attr-defined]
    # 10,000 rows move a steep row by a point, the flat ones hardly
    assert np.abs(exact.mean(axis=0) - benchmark.population()).max() < 1.5
    flat = [column(benchmark, title) for title in ("logit-adjusted", "balanced", "post-hoc, tau 1")]
    lowest = benchmark.population()[flat[0]]
    assert (exact[:, flat] >= lowest - 1e-9).all()
    assert (exact[:, flat] < lowest + 0.2).all()


def test_the_loss_and_the_adjustment_after_training_give_one_separator(
    benchmark: ModuleType, trials: object
) -> None:
    for loss, after in (
        ("logit-adjusted", "post-hoc, tau 1"),
        ("logit-adjusted, tau 2", "post-hoc, tau 2"),
        ("logit-adjusted, tau 2", "logit-adjusted, post-hoc again"),
    ):
        columns = [column(benchmark, title) for title in (loss, after)]
        one, other = trials.exact[:, columns].T  # type: ignore[attr-defined]
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_an_exact_error_is_the_error_on_many_rows(benchmark: ModuleType) -> None:
    many = benchmark.sample(np.random.default_rng(1), 400_000)
    scorer, adjustment = np.array([2.5, 1.5, -1.0]), benchmark.posthoc(many, 0.5)
    on_rows = benchmark.test_error(scorer, adjustment, many)
    assert abs(on_rows - benchmark.exact_error(scorer, adjustment)) < 0.005


def test_choosing_tau_on_the_test_rows_claims_less_than_any_fixed_tau(
    benchmark: ModuleType, trials: object
) -> None:
    after = [j for j, row in enumerate(benchmark.TABLE) if row.tau and row.loss == "softmax"]
    test, leaked = trials.test, trials.leaked  # type: ignore[attr-defined]
    assert (leaked <= test[:, after].min(axis=1) + 1e-9).all()

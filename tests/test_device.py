"""The path through an accelerator: torch on the CPU stands in for one where there is none, and says so in its name."""

from __future__ import annotations

import numpy as np
import pytest

from neurodecode import RidgeDecoder
from neurodecode.solve import Settings, device, fit_ridge

torch = pytest.importorskip("torch")

NO_GPU = "no CUDA device here: the device path ran on torch's CPU backend only"
DEVICES = [
    pytest.param("cpu", id="torch on the CPU"),
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason=NO_GPU)),
]


@pytest.fixture(params=DEVICES)
def name(request, monkeypatch) -> str:
    """A device's name; torch's CPU backend is taken for one."""
    monkeypatch.setattr("neurodecode.solve.fit.find_device", lambda n: None if n is None else torch.device(n))
    return request.param


def problem(dtype: type, *, p: int = 70, offset: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Simulated predictors (90, p), some of which are equal, and targets, of which one is constant."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, p)) + offset
    x[:, 5] = x[:, 9] = x[:, 20]
    x[:, 30] = 2.0
    y = x @ rng.normal(size=(p, 40)) / 3 + rng.normal(size=(90, 40))
    y[:, 3] = 1.0
    return x.astype(dtype), y.astype(dtype)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 2e-5), (np.float64, 1e-9)])
@pytest.mark.parametrize(
    "options",
    [
        {"k": 12},
        {"k": 12, "standardise": False, "centre": False},
        {"k": 12, "alphas": np.array([5.0, 50.0, 1e3]), "folds": [(np.arange(50), np.arange(50, 90))]},
        {},
        {"standardise": False, "centre": False},
    ],
    ids=["selected", "selected, penalised", "selected, folds", "all", "all, penalised"],
)
@pytest.mark.parametrize("p", [70, 150])
def test_a_device_finds_what_the_cpu_finds(name, dtype, rtol, options, p, monkeypatch):
    monkeypatch.setattr(device, "TARGETS", 7)
    x, y = problem(dtype, p=p)
    settings = {"alphas": np.array([5.0]), **options}
    expected = fit_ridge(x, y, Settings(**settings))
    found = fit_ridge(x, y, Settings(**settings, device=name))
    assert name in found.solver
    assert name not in expected.solver
    if "k" in options:
        np.testing.assert_array_equal(found.weights.indices, expected.weights.indices)
    np.testing.assert_array_equal(found.alpha, expected.alpha)
    scale = np.abs(expected.predict(x)).max()
    np.testing.assert_allclose(found.predict(x), expected.predict(x), rtol=rtol, atol=rtol * scale)


def test_what_float32_cannot_solve_on_a_device_is_solved_in_float64(name):
    rng = np.random.default_rng(3)
    sources, mix = rng.normal(size=(300, 5)), rng.normal(size=(5, 60))
    x = (sources @ mix + 0.01 * rng.normal(size=(300, 60))).astype(np.float32)
    y = rng.normal(size=(300, 8)).astype(np.float32)
    settings = {"alphas": np.array([0.01]), "k": 30}
    found, expected = (
        fit_ridge(x, y, Settings(**settings, device=name)),
        fit_ridge(x, y, Settings(**settings)),
    )
    assert "float64" in found.solver
    np.testing.assert_allclose(found.weights.toarray(), expected.weights.toarray(), rtol=1e-6, atol=1e-8)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_a_device_one_line_says_that_the_cpu_fits():
    x, y = problem(np.float64)
    expected = RidgeDecoder(5.0, n_voxels=9).fit(x, y)
    device.found.cache_clear()
    with pytest.warns(
        UserWarning, match=r"device='cuda': torch finds no such device here, .*: fitting on the CPU"
    ):
        found = RidgeDecoder(5.0, n_voxels=9, device="cuda").fit(x, y)
    np.testing.assert_array_equal(found.weights_, expected.weights_)
    assert "cuda" not in found.solver_


def test_predictions_from_whole_numbers_are_none():
    x, y = problem(np.float64)
    fitted = RidgeDecoder(5.0).fit(torch.as_tensor(x), torch.as_tensor(y))
    new = np.round(x * 3).astype(np.int64)
    np.testing.assert_allclose(fitted.predict(torch.as_tensor(new)).numpy(), fitted.predict(new), rtol=1e-12)


@pytest.mark.parametrize("where", DEVICES)
def test_tensors_in_tensors_out(where):
    x, y = (torch.as_tensor(a) for a in problem(np.float32))
    expected = RidgeDecoder(5.0, n_voxels=9).fit(x.numpy(), y.numpy())
    found = RidgeDecoder(5.0, n_voxels=9).fit(x.to(where), y.to(where))
    predicted = found.predict(x.to(where))
    assert predicted.device.type == where
    assert ("cuda" in found.solver_) == (where == "cuda")
    expected = expected.predict(x.numpy())
    np.testing.assert_allclose(
        predicted.cpu().numpy(), expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max()
    )

"""Make tests/fixtures/fastl2lir_*.npz: what the published library of the method answers on small inputs.

fastl2lir 0.11 fails on numpy >= 2.4 when it selects voxels, so it gets an environment of its own:

    python3.11 -m venv l2lir
    l2lir/bin/pip install "numpy<2.4" "fastl2lir==0.11"
    l2lir/bin/python tests/make_fastl2lir_fixtures.py

Every file holds X (sample, voxel), Y (sample, target), W (voxel, target), b (1, target), selected (voxel, target),
alpha, n_feat (0: no selection), chunk_size, and the versions used. Inputs are simulated and lie on a grid of 1/4096,
which float64 holds exactly and which keeps the files small. Before a file is written, the script checks that a
closed form of the model gives the same selection and weights, and that no choice hangs on a tie.
"""

import contextlib
import io
import pathlib
from importlib.metadata import version

import fastl2lir
import numpy as np

FOLDER = pathlib.Path(__file__).parent / "fixtures"
GRID = 4096.0
SMALLEST_GAP = 1e-6
TINY_VARIANCE = 1e-8  # the library never selects a voxel whose variance is below this

# name: (samples, voxels, targets, z-scored, alpha, n_feat, chunk_size)
CASES = {
    "tall_all": (80, 40, 12, True, 0.15, 0, 0),
    "tall_all_raw": (80, 40, 12, False, 100.0, 0, 0),
    "wide_all": (60, 110, 12, True, 0.15, 0, 0),
    "wide_all_raw": (60, 110, 12, False, 100.0, 0, 0),
    "tall_10": (80, 40, 12, True, 0.15, 10, 0),
    "tall_25_raw_chunks": (80, 40, 30, False, 100.0, 25, 7),
    "wide_10_raw": (60, 110, 12, False, 100.0, 10, 0),
    "wide_25": (60, 110, 30, True, 0.15, 25, 0),
    "wide_25_chunks": (60, 110, 30, True, 0.15, 25, 7),
    "wide_90": (60, 110, 12, True, 100.0, 90, 0),  # more voxels selected than samples
    "tiny_variance_10": (80, 40, 12, False, 0.15, 10, 0),
}


def simulate(
    seed: int, samples: int, voxels: int, targets: int, *, zscored: bool, tiny: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Targets are noisy mixtures of voxels; raw data have offsets and unequal scales."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, voxels)) + 0.5 * rng.standard_normal((samples, 1))
    y = x @ rng.standard_normal((voxels, targets)) / np.sqrt(voxels) + 0.7 * rng.standard_normal(
        (samples, targets)
    )
    if zscored:
        x, y = ((a - a.mean(0)) / a.std(0) for a in (x, y))
    else:
        x = x * rng.uniform(0.5, 5.0, voxels) + rng.uniform(-20.0, 20.0, voxels)
        y = y * rng.uniform(0.5, 5.0, targets) + rng.uniform(-20.0, 20.0, targets)
    x, y = np.round(x * GRID) / GRID, np.round(y * GRID) / GRID
    if tiny:  # voxel 3 is target 0 itself, but so small that the library takes it for constant
        x[:, 3] = (y[:, 0] - np.round(y[:, 0].mean())) * 2.0**-18
    return x, y


def closed_form(
    x: np.ndarray, y: np.ndarray, alpha: float, n_feat: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """The model as equations: per target the n_feat largest |r|, then ridge with a penalised column of ones."""
    voxels, targets = x.shape[1], y.shape[1]
    r = np.abs(np.corrcoef(x.T, y.T)[:voxels, voxels:])
    r[x.var(axis=0) < TINY_VARIANCE] = 0.0
    w, b, selected, gap = (
        np.zeros((voxels, targets)),
        np.zeros((1, targets)),
        np.zeros((voxels, targets), bool),
        np.inf,
    )
    for t in range(targets):
        chosen = np.arange(voxels)
        if n_feat:
            order = np.argsort(-r[:, t])
            gap = min(gap, r[order[n_feat - 1], t] - r[order[n_feat], t])
            chosen = np.sort(order[:n_feat])
        ones = np.column_stack([x[:, chosen], np.ones(len(x))])
        # least squares on rows extended by sqrt(alpha) I: no Gram matrix, so another way than the library's
        extended = np.vstack([ones, np.sqrt(alpha) * np.eye(ones.shape[1])])
        solution = np.linalg.lstsq(extended, np.append(y[:, t], np.zeros(ones.shape[1])), rcond=None)[0]
        w[chosen, t], b[0, t], selected[chosen, t] = solution[:-1], solution[-1], True
    return w, b, selected, gap


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for seed, (name, (samples, voxels, targets, zscored, alpha, n_feat, chunk)) in enumerate(CASES.items()):
        x, y = simulate(seed, samples, voxels, targets, zscored=zscored, tiny=name.startswith("tiny"))
        model = fastl2lir.FastL2LiR()
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
            model.fit(x, y, alpha=alpha, n_feat=n_feat, chunk_size=chunk)
        w, b, selected, gap = closed_form(x, y, alpha, n_feat)
        error = max(np.abs(model.W - w).max() / np.abs(w).max(), np.abs(model.b - b).max() / np.abs(b).max())
        if not np.array_equal(model.W != 0, selected) or error > 1e-9 or gap < SMALLEST_GAP:
            raise SystemExit(
                f"{name}: the closed form disagrees (error {error:.1e}) or a tie is near (gap {gap:.1e})"
            )
        file = FOLDER / f"fastl2lir_{name}.npz"
        np.savez_compressed(
            file, X=x, Y=y, W=model.W, b=model.b, selected=selected, alpha=alpha, n_feat=n_feat, chunk_size=chunk,
            fastl2lir=version("fastl2lir"), numpy=np.__version__,
        )  # fmt: skip
        print(f"{file.name}: {file.stat().st_size} bytes, error {error:.1e}, smallest gap {gap:.1e}")


if __name__ == "__main__":
    main()

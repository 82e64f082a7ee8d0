"""The resting-state recording of the extra ``rest``, and effects planted into it; skipped, and said so, without it."""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import scipy.stats

import neurodecode as nd
from neurodecode.datasets import resting

ANALYSIS = Path(__file__).parents[1] / "analyses" / "real_noise.py"
VOLUMES = 40


@pytest.fixture(scope="module")
def script() -> dict:
    return runpy.run_path(str(ANALYSIS))


@pytest.fixture(scope="module")
def recording():
    if importlib.util.find_spec("brainspace") is None:
        pytest.skip("brainspace (the extra 'rest') is not installed: no resting-state recording")
    return resting.load()


@pytest.fixture
def small_files(tmp_path, monkeypatch) -> np.ndarray:
    """Files in brainspace's layout, of 40 volumes: (volume, vertex) of both sides, confounds in every vertex."""
    rng = np.random.default_rng(0)
    confounds = rng.normal(size=(VOLUMES, 3))
    values = rng.normal(size=(VOLUMES, 2 * resting.VERTICES)).astype(np.float32)
    values[:, ::7] = 0
    mixed = values + (confounds @ rng.normal(size=(3, values.shape[1]))) * (np.ptp(values, axis=0) > 0)
    for i, short in enumerate(("lh", "rh")):
        side = mixed[:, i * resting.VERTICES : (i + 1) * resting.VERTICES].T.astype(np.float32)
        image = nibabel.MGHImage(side[:, None, None, :], np.eye(4))
        nibabel.save(image, tmp_path / f"{resting.STEM}.fsa5.{short}.mgz")
    np.savetxt(tmp_path / f"{resting.STEM}_confounds.txt", confounds)
    monkeypatch.setattr(resting, "_folder", lambda: tmp_path)
    return mixed


def test_files_are_read_side_by_side_and_confounds_are_regressed_out(small_files, tmp_path) -> None:
    kept, raw = resting.load(), resting.load(confounds=True)
    varies = np.ptp(small_files, axis=0) > 0
    assert raw.sizes == {"sample": VOLUMES, "voxel": varies.sum()}
    np.testing.assert_allclose(raw, small_files[:, varies], rtol=1e-5)
    assert raw["vertex"].values.tolist() == (np.flatnonzero(varies) % resting.VERTICES).tolist()
    assert (raw["hemi"].values == np.where(np.flatnonzero(varies) < resting.VERTICES, "left", "right")).all()
    design = np.column_stack([np.ones(VOLUMES), np.loadtxt(tmp_path / f"{resting.STEM}_confounds.txt")])
    expected = raw.values - design @ np.linalg.lstsq(design, raw.values.astype(float), rcond=None)[0]
    np.testing.assert_allclose(kept, expected, atol=1e-5)
    assert kept["onset"].values[1] == pytest.approx(1.4)
    assert set(nd.brain.GROUPS["LVC"]) < set(kept["roi"].values)


def test_what_is_missing_is_named(small_files, tmp_path, monkeypatch) -> None:
    confounds = tmp_path / f"{resting.STEM}_confounds.txt"
    np.savetxt(confounds, np.ones((VOLUMES - 1, 2)))
    with pytest.raises(ValueError, match="39 rows of confounds, but 40 volumes"):
        resting.load()
    (tmp_path / f"{resting.STEM}.fsa5.rh.mgz").unlink()
    with pytest.raises(FileNotFoundError, match="the right hemisphere is missing"):
        resting.load()
    monkeypatch.undo()
    monkeypatch.setattr(resting, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"neurodecode-toolkit\[rest\]"):
        resting.load()


def test_the_recording_is_as_described(recording) -> None:
    assert recording.sizes == {"sample": 652, "voxel": 18_715}
    assert "vtk" not in sys.modules
    z = (recording - recording.mean("sample")).values[:, ::20]
    z /= z.std(axis=0)
    assert np.mean(z[1:] * z[:-1]) == pytest.approx(0.95, abs=0.02)
    assert np.mean(z[5:] * z[:-5]) == pytest.approx(0.46, abs=0.05)


# ------------------------------------------------------------------------------------------ the analysis
def fake_noise(seed: int = 0):
    """Random walks, filtered, in the place of the recording: two regions of ten vertices."""
    rng = np.random.default_rng(seed)
    n = 652
    values = np.cumsum(rng.normal(size=(n, 20)), axis=0)
    values -= np.apply_along_axis(lambda v: np.convolve(v, np.ones(40) / 40, mode="same"), 0, values)
    data = nd.brain.fmri(
        values, sample=np.arange(n), stimulus=["rest"] * n, roi=np.repeat(["V1", "LO"], 10),
        hemi=["left"] * 20, vertex=np.arange(20), xyz=rng.normal(size=(20, 3)) * 10,
    )  # fmt: skip
    return data.assign_attrs(space="fsaverage5")


def test_orders_keep_runs_and_blocks(script) -> None:
    rng = np.random.default_rng(0)
    single, blocks = script["single_trials"](rng), script["whole_blocks"](rng)
    assert sorted(single) == sorted(blocks) == list(range(100))
    assert (single // 25 == np.arange(100) // 25).all()
    assert (single != np.arange(100)).mean() > 0.8
    assert (np.diff(blocks.reshape(20, 5), axis=1) == 1).all()


def test_a_planted_response_peaks_where_it_is_read(script) -> None:
    rng = np.random.default_rng(0)
    shown = np.zeros((100, 3))
    shown[30, 0] = 1.0
    noise = rng.normal(size=(652, 8)) * np.arange(1, 9)
    evoked = script["planted"](noise, np.zeros((8, 3)), shown, 0.5, rng)
    onset = script["onsets"]().ravel()[30]
    assert np.abs(evoked).max(axis=1).argmax() - onset in script["PEAK"]
    np.testing.assert_allclose(evoked[: onset + 1], 0, atol=1e-12)
    # One mixture everywhere, as all vertices lie in one place; the size follows each vertex' noise.
    np.testing.assert_allclose(
        np.abs(evoked).max(axis=0) / noise.std(axis=0), np.abs(evoked[:, 0]).max() / noise.std(axis=0)[0]
    )


def test_p_is_the_share_of_a_plain_loop(script) -> None:
    noise = fake_noise()
    rng = np.random.default_rng(1)
    shown = rng.normal(size=(100, 3))
    trials = script["trials_of"](noise.values, noise)
    p, p_max = script["tested"](trials, shown, script["single_trials"], np.random.default_rng(2))
    orders = np.random.default_rng(2)
    every = [np.arange(100), *(script["single_trials"](orders) for _ in range(script["PERMUTATIONS"]))]
    decoder = nd.RidgeDecoder(alpha=script["DECODER_ALPHA"])
    scores = []
    for order in every[:12]:
        space = nd.brain.features(shown[order], stimulus=trials["stimulus"].values)
        scores.append(
            nd.spatial.decode(trials, space, decoder, folds="run", score="profile")
            .mean("fold")
            .values.ravel()
        )
    first = np.array(scores)
    assert p.shape == p_max.shape == (2,)
    assert (p * 100 >= (first >= first[0] - 1e-9).sum(axis=0) - 1e-6).all()
    assert (p_max >= p - 0.02).all()
    assert ((p > 0) & (p <= 1)).all()


def test_effects_are_counted_where_they_were_planted(script, monkeypatch, tmp_path) -> None:
    settings = script["run"].__globals__
    monkeypatch.setitem(settings, "EFFECTS", (0.0, 3.0))
    monkeypatch.setitem(settings, "CARRIERS", 1)
    result = script["run"](fake_noise(), 4, 0, nd.store.Pieces(tmp_path / "pieces", key={}))
    assert result["hit_n"].sel(effect=0.0).sum() == 0
    assert result["alarm_n"].sel(effect=0.0).values.tolist() == [4, 4]
    strong = result.sel(effect=3.0)
    assert strong["hit_n"].sum() == strong["alarm_n"].sum() == 1
    assert strong["hit"].sum() == 1
    assert result["same_elsewhere"].values.tolist() == [1.0, 1.0]
    assert result["any_alarm"].shape == (4,)
    assert result["blocked_rate"].dims == ("order", "limit")


def test_regions_without_an_effect_do_not_see_it_elsewhere(script, monkeypatch) -> None:
    monkeypatch.setitem(script["sequence"].__globals__, "CARRIERS", 1)
    carries, without = script["sequence"](fake_noise(), 0.0, 3, 0)
    again, strong = script["sequence"](fake_noise(), 3.0, 3, 0)
    assert carries.tolist() == again.tolist()
    assert carries.sum() == 1
    np.testing.assert_array_equal(without[0][~carries], strong[0][~carries])
    assert strong[0][carries] == pytest.approx(0.01)


def test_limits_are_over_sequences(script) -> None:
    found = np.random.default_rng(0).random((50, 7)) < 0.3
    possible = np.ones_like(found)
    value, low, high = script["share"](found, possible)
    means = found.mean(axis=1)
    expected = scipy.stats.t.interval(0.95, 49, loc=means.mean(), scale=scipy.stats.sem(means))
    np.testing.assert_allclose([value, low, high], [means.mean(), *expected])
    together = np.repeat(found[:, :1], 7, axis=1)
    _, low, high = script["share"](together, possible)
    np.testing.assert_allclose([low, high], script["share"](found[:, :1], possible[:, :1])[1:])
    assert np.isnan(script["share"](found, ~possible)).all()


def test_limits_of_all_and_none_have_a_width(script) -> None:
    none = np.zeros((50, 7), dtype=bool)
    possible = np.arange(50)[:, None] % 5 > 0
    for found, k in ((none, 0), (~none, 40)):
        expected = scipy.stats.binomtest(k, 40).proportion_ci(0.95, method="exact")
        possible_ = np.broadcast_to(possible, none.shape)
        np.testing.assert_allclose(script["share"](found & possible_, possible_), (k / 40, *expected))


def test_pieces_of_other_settings_or_versions_are_not_taken(script, monkeypatch, tmp_path) -> None:
    keys = []

    def stopped(parent, name, *, key):
        keys.append(key)
        raise KeyboardInterrupt

    def key_of(text: str) -> dict:
        file = tmp_path / "real_noise.py"
        file.write_text(text)
        with pytest.raises(KeyboardInterrupt):
            runpy.run_path(str(file))["main"]()
        return keys.pop()

    monkeypatch.setattr(nd.store.Pieces, "named", stopped)
    monkeypatch.setattr(resting, "load", fake_noise)
    monkeypatch.setattr(sys, "argv", ["real_noise.py", "--out", str(tmp_path)])
    text = ANALYSIS.read_text()
    own = key_of(text)
    assert key_of(text.replace("# Sequences in one piece.", "# What is kept at a time.")) == own
    assert key_of(text.replace("DECODER_ALPHA = 300.0", "DECODER_ALPHA = 30.0")) != own
    monkeypatch.setattr(nd, "__version__", "0.0")
    assert key_of(text) != own

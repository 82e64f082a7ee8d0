"""Cross-decoding: a shared code transfers and a rotated one does not; cells are comparable, and nothing leaks."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

import neurodecode as nd

STIMULI = [f"img_{i:02d}" for i in range(40)]
# Two values that are written alike.
RUNS = np.array([1, "1"] * 40, dtype=object)
TRUTH = np.random.default_rng(0).normal(size=(40, 3))


def features() -> xr.DataArray:
    return nd.brain.features(TRUTH, stimulus=STIMULI)


def recording(codes: dict[str, int], *, noise: float = 0.4, seed: int = 1, gain: bool = True) -> xr.DataArray:
    """Simulated: every session shows all stimuli; sessions of one number share the code, of another have their own."""
    rng = np.random.default_rng(seed)
    # Codes that do not overlap: orthonormal rows.
    basis = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    parts, names, sessions = [], [], []
    for i, (session, code) in enumerate(codes.items()):
        order = rng.permutation(40)
        values = TRUTH[order] @ basis[3 * code : 3 * code + 3] + noise * rng.normal(size=(40, 12))
        parts.append(values * (1 + i if gain else 1) + 5 * i * gain)
        names += [STIMULI[k] for k in order]
        sessions += [session] * 40
    return nd.brain.fmri(
        np.concatenate(parts), sample=np.arange(len(names)), stimulus=names, session=sessions, subject="s1",
        roi=["V1"] * 12,
    )  # fmt: skip


def transfer(responses, decoder=None, **options) -> xr.DataArray:
    return nd.spatial.transfer(
        responses, features(), decoder or nd.RidgeDecoder(1.0), by="session", **options
    )


# ---------------------------------------------------------------- what transfers


def test_a_shared_code_transfers_and_a_rotated_one_does_not():
    found = transfer(recording({"mon": 0, "tue": 0, "wed": 1})).mean(("layer", "subject", "fold"))
    assert found.dims == ("train", "test")
    assert found.train.values.tolist() == found.test.values.tolist() == ["mon", "tue", "wed"]
    same = found.sel(train=["mon", "tue"], test=["mon", "tue"]).values
    assert same.min() > 0.8
    # No worse than within: the code is the same, and so is the number of samples.
    assert np.ptp(same) < 0.06
    assert found.sel(train="wed", test="wed") > 0.8
    assert abs(found.sel(train="wed", test=["mon", "tue"])).max() < 0.3
    assert abs(found.sel(train=["mon", "tue"], test="wed")).max() < 0.3


def test_noise_is_at_chance_everywhere():
    found = transfer(recording({"a": 0, "b": 0}, noise=100.0), score="pairwise")
    assert found.attrs["chance"] == 0.5
    assert abs(found.mean("fold") - 0.5).max() < 0.2


def test_gain_and_offset_are_another_code_only_if_asked():
    responses = recording({"a": 0, "b": 0})
    plain = recording({"a": 0, "b": 0}, gain=False)
    np.testing.assert_allclose(transfer(responses), transfer(plain), rtol=1e-6)
    assert not np.allclose(
        transfer(responses, rescale=False, score="r2"), transfer(plain, rescale=False, score="r2")
    )


# ---------------------------------------------------------------- equal to a plain loop


@pytest.mark.parametrize("rescale", [True, False])
def test_cells_equal_a_plain_loop_with_scikit_learn(rescale):
    responses = recording({"a": 0, "b": 0, "c": 1})
    found = transfer(responses, folds=4, rescale=rescale, decoder=nd.RidgeDecoder(2.0, standardise=False))
    x, session = responses.values, responses.session.values
    y = TRUTH[[STIMULI.index(s) for s in responses.stimulus.values]]
    order = list(dict.fromkeys(responses.stimulus.values))
    part = np.array([order.index(s) * 4 // 40 for s in responses.stimulus.values])
    for a in "abc":
        for b in "abc":
            for k in range(4):
                train, test = ((session == c) & side for c, side in ((a, part != k), (b, part == k)))
                own = (session == b) & (part != k)
                if rescale:
                    fit = Ridge(alpha=2.0).fit((x[train] - x[train].mean(0)) / x[train].std(0), y[train])
                    predicted = fit.predict((x[test] - x[own].mean(0)) / x[own].std(0))
                else:
                    predicted = Ridge(alpha=2.0).fit(x[train], y[train]).predict(x[test])
                r = [np.corrcoef(predicted[:, j], y[test][:, j])[0, 1] for j in range(3)]
                cell = found.sel(train=a, test=b, fold=f"fold {k + 1}").item()
                assert cell == pytest.approx(np.mean(r), rel=1e-6), (a, b, k)


def test_the_diagonal_is_plain_cross_validation():
    """Of a session that shows every stimulus once, the diagonal is decode's own, up to the order of stimuli."""
    responses = recording({"a": 0, "b": 0}, gain=False)
    order = list(dict.fromkeys(responses.stimulus.values))
    alone = responses[responses.session.values == "a"].set_index(sample="stimulus").sel(sample=order)
    alone = alone.assign_coords(stimulus=("sample", order), sample=order)
    within = nd.spatial.decode(alone, features(), nd.RidgeDecoder(1.0), regions=["V1"], folds=5)
    found = transfer(responses, rescale=False).sel(train="a", test="a")
    np.testing.assert_allclose(found.values.ravel(), within.values.ravel(), rtol=1e-7)


# ---------------------------------------------------------------- comparable, and without leaks


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.booleans())
def test_no_stimulus_is_on_both_sides_and_training_sizes_are_equal(seed, k, disjoint):
    from neurodecode.spatial.transfer import _cut

    rng = np.random.default_rng(seed)
    sizes = rng.integers(20, 40, size=3)
    stimuli = np.concatenate(
        [100 * c * disjoint + rng.permutation(np.repeat(np.arange(20), 2))[:n] for c, n in enumerate(sizes)]
    )
    cell = np.repeat([0, 1, 2], sizes)
    array = xr.DataArray(
        rng.normal(size=(cell.size, 2)),
        dims=("sample", "voxel"),
        coords={"sample": np.arange(cell.size), "stimulus": ("sample", stimuli), "day": ("sample", cell)},
    )
    found = _cut(array, by="day", folds=k, shared=(), seed=seed)
    assert len(found) == 3 * k
    for i in range(k):
        here = found[3 * i : 3 * i + 3]
        assert len({len(f.train) for f in here}) == 1
        tested = {s for f in here for s in stimuli[f.test]}
        assert not tested & {s for f in here for s in stimuli[f.train]}
        for c, fold in enumerate(here):
            assert set(cell[fold.train]) == set(cell[fold.test]) == {c}
    for c in range(3):  # every sample is tested once
        rows = np.concatenate([f.test for f in found[c::3]])
        assert sorted(rows) == np.flatnonzero(cell == c).tolist()


def test_test_samples_reach_no_statistic():
    responses = recording({"a": 0, "b": 0})
    first = transfer(responses, decoder=nd.RidgeDecoder(1.0)).sel(fold="fold 1")
    order = list(dict.fromkeys(responses.stimulus.values))
    tested = np.isin(responses.stimulus.values, order[:8])
    changed = responses.copy()
    changed[np.flatnonzero(tested)[0]] += 1000.0
    other = transfer(changed, decoder=nd.RidgeDecoder(1.0)).sel(fold="fold 1")
    session = responses.session.values[np.flatnonzero(tested)[0]]
    rest = [s for s in ("a", "b") if s != session]
    np.testing.assert_array_equal(first.sel(test=rest), other.sel(test=rest))


def test_folds_by_a_coordinate_need_leave_to_share_stimuli():
    responses = recording({"a": 0, "b": 0})
    halves = responses.assign_coords(half=("sample", np.arange(80) % 2))
    shared = halves.assign_coords(stimulus=("sample", np.array(STIMULI)[np.arange(80) // 2 % 40 % 20]))
    with pytest.raises(ValueError, match="share 20 of 20 test stimuli"):
        transfer(shared, folds="half")
    found = transfer(shared, folds="half", shared="stimulus")
    assert found.fold.values.tolist() == ["half=0", "half=1"]


# ---------------------------------------------------------------- several recordings


def channels(code: int, seed: int) -> xr.DataArray:
    one = recording({"only": code}, seed=1)
    values = one.values[:, :, None] + 0.5 * np.random.default_rng(seed).normal(size=(40, 12, 2))
    return nd.brain.meeg(
        values, sample=STIMULI, stimulus=one.stimulus.values, channel=[f"E{i}" for i in range(12)],
        time=[0.1, 0.2], subject=f"s{seed}",
    )  # fmt: skip


def test_people_with_the_same_channels():
    cells = {"ann": channels(0, 2), "bob": channels(0, 3), "cy": channels(2, 4)}
    found = nd.spatial.transfer_across(cells, features(), nd.RidgeDecoder(10.0)).mean("fold")
    assert found.dims == ("train", "test", "layer")
    assert found.sel(train="ann", test="bob").item() > 0.6
    assert abs(found.sel(train="ann", test="cy").item()) < 0.35
    made = nd.store.provenance(nd.spatial.transfer_across(cells, features(), nd.RidgeDecoder(10.0)))
    assert made["what"] == "spatial.transfer_across"
    # The same samples joined by hand and told apart by a coordinate.
    joined = xr.concat([c.assign_coords(who=("sample", [n] * 40)) for n, c in cells.items()], dim="sample")
    joined = joined.assign_coords(sample=np.arange(120))
    same = nd.spatial.transfer(joined, features(), nd.RidgeDecoder(10.0), by="who")
    np.testing.assert_allclose(found.values, same.mean("fold").isel(subject=0).values, rtol=1e-10)


def test_voxels_need_a_common_anatomy():
    one, two = (recording({"a": 0}, seed=s).assign_attrs(subject=f"s{s}") for s in (1, 2))
    with pytest.raises(ValueError, match=r"nothing says that they are the same.*by_region"):
        nd.spatial.transfer_across({"x": one, "y": two}, features(), nd.RidgeDecoder())
    surface = {"vertex": ("voxel", np.arange(12)), "hemi": ("voxel", ["left"] * 12)}
    alike = [a.assign_coords(surface) for a in (one, two)]
    found = nd.spatial.transfer_across(dict(zip("xy", alike, strict=True)), features(), nd.RidgeDecoder())
    assert found.sizes["train"] == 2
    shifted = alike[1].assign_coords(vertex=("voxel", np.arange(12) + 1))
    with pytest.raises(ValueError, match="nothing says"):
        nd.spatial.transfer_across({"x": alike[0], "y": shifted}, features(), nd.RidgeDecoder())
    spaces = [a.assign_attrs(space=s) for a, s in zip(alike, "ab", strict=True)]
    with pytest.raises(ValueError, match="lie in the space 'a'"):
        nd.spatial.transfer_across(dict(zip("xy", spaces, strict=True)), features(), nd.RidgeDecoder())
    own = [a.assign_attrs(subject="s1") for a in (one, two)]
    nd.spatial.transfer_across(dict(zip("xy", own, strict=True)), features(), nd.RidgeDecoder())
    with pytest.raises(ValueError, match="12 'voxel' labels and .* has 11"):
        nd.spatial.transfer_across({"x": one, "y": two[:, :11]}, features(), nd.RidgeDecoder())
    regions = [
        nd.ceilings.by_region(a, regions={"p": np.arange(12) < 6, "q": np.arange(12) >= 6}).transpose(
            "sample", "region"
        )
        for a in (one, two)
    ]
    found = nd.spatial.transfer_across(dict(zip("xy", regions, strict=True)), features(), nd.RidgeDecoder())
    assert np.isfinite(found).all()


# ---------------------------------------------------------------- files, errors


def test_a_stopped_run_goes_on(tmp_path, monkeypatch):
    responses = recording({"a": 0, "b": 0})
    whole = transfer(responses)
    fits = []
    fit = nd.RidgeDecoder.fit

    def counted(self, *args):
        fits.append(1)
        if len(fits) == 6:
            raise KeyboardInterrupt
        return fit(self, *args)

    monkeypatch.setattr(nd.RidgeDecoder, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        transfer(responses, resume=tmp_path / "pieces")
    again = transfer(responses, resume=tmp_path / "pieces")
    assert len(fits) == 6 + 6  # two folds of two cells were done
    np.testing.assert_array_equal(whole.values, again.values)
    nd.save(again, tmp_path / "t.nc")
    assert nd.load(tmp_path / "t.nc").identical(again)


def test_errors_come_before_any_fit(monkeypatch):
    responses = recording({"a": 0, "b": 0})
    monkeypatch.setattr(nd.RidgeDecoder, "fit", lambda *_: pytest.fail("fitted before the check"))
    for call, words in (
        (lambda: nd.spatial.transfer(responses, features(), nd.RidgeDecoder(), by="day"), "no coordinate 'day'"),
        (lambda: transfer(responses[:40]), "at least 2 values of 'session', found 'a'"),
        (lambda: transfer(responses, folds="session"), "what the cells differ in"),
        (lambda: transfer(responses, folds=41), "from 2 to 40"),
        (
            lambda: transfer(responses.assign_coords(run=("sample", [1] * 20 + [2] * 20 + [1] * 40)), folds="run"),
            "session='b' lacks 1 of 2 values of 'run': 2",
        ),
        (lambda: transfer(responses[:41], folds=2), "1 test samples in .fold 1. of folds=2, and needs 2"),
        (
            lambda: transfer(responses.assign_coords(run=("sample", RUNS)), folds="run", shared="stimulus"),
            "2 folds have 1 different names: 'run=1'; name them apart",
        ),
        (
            lambda: nd.spatial.transfer_across(
                {n: responses.assign_coords(cell=("sample", [1] * 80)) for n in "xy"}, features(), nd.RidgeDecoder()
            ),
            "responses have a coordinate 'cell', which is made here; rename it",
        ),
        (lambda: transfer(responses, decoder=nd.RidgeDecoder(n_voxels=50)), "selects n_voxels=50"),
        (lambda: nd.spatial.transfer_across({"x": responses}, features(), nd.RidgeDecoder()), "at least two names"),
        (
            lambda: nd.spatial.transfer_across(
                {"x": channels(0, 1), "y": channels(0, 1)[:, :, 0]}, features(), nd.RidgeDecoder()
            ),
            "no weights for the other",
        ),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            call()


def test_folds_whose_names_hold_a_comma_are_kept_apart():
    names = [f"s{i}" for i in range(40)]
    rng = np.random.default_rng(0)
    conditions = ["dog, left", "cat, left", "dog, right", "cat, right"]
    responses = nd.brain.fmri(
        rng.normal(size=(80, 5)),
        sample=[f"t{i}" for i in range(80)],
        stimulus=names * 2,
        session=np.repeat([1, 2], 40),
    ).assign_coords(condition=("sample", [conditions[i % 4] for i in range(40)] * 2))
    features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names)
    found = nd.spatial.transfer(responses, features, nd.RidgeDecoder(1.0), by="session", folds="condition")
    assert found.sizes["fold"] == 4

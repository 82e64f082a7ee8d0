"""Algorithm 1: planted dimensions are found, from training data alone. Reference: a plain loop over scikit-learn."""

import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

import neurodecode as nd
from neurodecode import selection
from neurodecode.selection import best_features

ALPHA = 10.0
RIDGE = nd.RidgeDecoder(alpha=ALPHA)
N_TRAIN, N_TEST, VOXELS = 60, 20, 15


class Untouched(BaseEstimator):
    """A decoder that must never be fitted."""

    def fit(self, responses, features):
        raise AssertionError("a fit began")


def planted(*, seed=0, dims=40, decodable=10, repeats=1):
    """Responses that carry the first ``decodable`` dimensions of one space, and features of all stimuli."""
    rng = np.random.default_rng(seed)
    names = np.array([f"i{i:03d}" for i in range(N_TRAIN + N_TEST)])
    values = rng.normal(size=(names.size, dims))
    features = nd.brain.features(values, stimulus=names, layer="Linear-2")
    shown = np.tile(names, repeats)
    signal = values[:, :decodable] @ rng.normal(size=(decodable, VOXELS))
    responses = nd.brain.fmri(
        np.tile(signal, (repeats, 1)) + rng.normal(size=(shown.size, VOXELS)),
        sample=np.arange(shown.size),
        stimulus=shown,
        split=np.tile(np.repeat(["train", "test"], [N_TRAIN, N_TEST]), repeats),
    )
    return responses, features


def test_planted_dimensions_are_kept():
    responses, features = planted()
    kept = best_features(responses, features, RIDGE, keep=0.25)
    assert kept.dims == ("feature",)
    assert kept.dtype == bool
    np.testing.assert_array_equal(kept.values, np.arange(40) < 10)
    assert kept.r[:10].min() > 0.5 > 0.35 > abs(kept.r[10:]).max()


def test_equals_a_plain_loop_of_scikit_learn():
    responses, features = planted(seed=1)
    x, y = responses.values[:N_TRAIN], features.values[:N_TRAIN]
    r = np.zeros((5, 40))
    for fold, (train, test) in enumerate(KFold(5).split(x)):
        to_z, y_to_z = StandardScaler().fit(x[train]), StandardScaler().fit(y[train])
        model = Ridge(alpha=ALPHA).fit(to_z.transform(x[train]), y_to_z.transform(y[train]))
        predicted = model.predict(to_z.transform(x[test]))
        r[fold] = [pearsonr(predicted[:, j], y[test, j]).statistic for j in range(40)]
    r = r.mean(axis=0)
    kept = best_features(responses, features, RIDGE, keep=0.3)
    np.testing.assert_allclose(kept.r, r, atol=1e-9)
    np.testing.assert_array_equal(kept, r >= np.percentile(r, 70))


def test_the_percentile_is_of_each_space():
    responses, features = planted(decodable=10)
    spaces = {"good": features[:, :10], "mixed": features[:, 6:26], "poor": features[:, 20:]}
    kept = best_features(responses, spaces, RIDGE, keep=0.2)
    masks = nd.brain.spaces(kept)
    assert {name: int(m.sum()) for name, m in masks.items()} == {"good": 2, "mixed": 4, "poor": 4}
    np.testing.assert_array_equal(np.flatnonzero(masks["mixed"]), range(4))
    np.testing.assert_array_equal(masks["poor"].unit, np.arange(20, 40))


@pytest.mark.parametrize("keep", [0.1, 0.5, 1.0])
def test_another_share_is_what_it_would_have_been(keep):
    responses, one = planted()
    features = nd.brain.stack({"a": one, "b": one[:, ::-1]})
    whole = best_features(responses, features, RIDGE, keep=0.25)
    again = selection.keep_share(whole, keep)
    xr.testing.assert_identical(
        again.drop_attrs(), best_features(responses, features, RIDGE, keep=keep).drop_attrs()
    )
    assert again.attrs["keep"] == keep
    with pytest.raises(ValueError, match="keep must be a share above 0 and at most 1, got 0"):
        selection.keep_share(whole, 0)


def test_repeats_of_a_stimulus_stay_in_one_fold(monkeypatch):
    responses, features = planted(repeats=3)
    seen = []
    honest = selection.tasks

    def watched(*args, **options):
        seen.extend(found := honest(*args, **options))
        return found

    monkeypatch.setattr(selection, "tasks", watched)
    best_features(responses, features, RIDGE)
    [task] = seen
    names = task.responses.stimulus.values
    assert set(task.responses.split.values) == {"train"}
    for fold in task.folds:
        assert not set(names[fold.train]) & set(names[fold.test])
    assert list(dict.fromkeys(names[task.folds[0].test])) == [f"i{i:03d}" for i in range(12)], "unshuffled"


def test_test_samples_never_enter():
    responses, features = planted()
    kept = best_features(responses, features, RIDGE)
    changed = responses.copy()
    changed[N_TRAIN:] = np.nan
    xr.testing.assert_identical(best_features(changed, features, RIDGE).drop_attrs(), kept.drop_attrs())
    assert not kept.equals(best_features(responses, features, RIDGE, train=np.arange(30)))


@pytest.mark.parametrize("block", [1, 7, 40, 1000])
def test_blocks_give_the_same(block):
    responses, features = planted()
    spaces = {"a": features[:, :25], "b": features[:, 25:]}
    whole = best_features(responses, spaces, RIDGE)
    parts = best_features(responses, spaces, RIDGE, block=block)
    np.testing.assert_array_equal(parts, whole)
    np.testing.assert_allclose(parts.r, whole.r, atol=1e-12)
    for name in ("layer", "unit"):
        np.testing.assert_array_equal(parts[name], whole[name])
    counts = {
        k: nd.store.provenance(m)["parameters"]["features"] for k, m in {"w": whole, "p": parts}.items()
    }
    assert counts["w"] == counts["p"] == {"a": 25, "b": 15}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_dimensions_are_never_kept_and_warn_nothing(dtype):
    responses, features = planted(dims=8, decodable=2)
    features = features.astype(dtype)
    features[:, [0, 5]] = 3.7
    features[:48, 1] = 0.1  # varies in the last fold alone
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = best_features(responses.astype(dtype), features, RIDGE, keep=1.0)
    np.testing.assert_array_equal(kept, ~np.isin(np.arange(8), [0, 5]))
    assert np.isnan(kept.r[[0, 5]]).all()
    assert abs(kept.r[1]) < 0.2, "four folds count 0"


def test_any_decoder_and_epochs():
    responses, features = planted()
    epochs = nd.brain.meeg(
        responses.values.reshape(-1, 5, 3), sample=responses.sample.values, stimulus=responses.stimulus.values,
        channel=list("ABCDE"), time=np.arange(3) / 100, split=responses.split.values,
    )  # fmt: skip

    class Joint(BaseEstimator):
        """A network stands for this: one that fits all dimensions together."""

        def fit(self, given, wanted):
            self.inner_ = nd.RidgeDecoder(alpha=ALPHA).fit(given, wanted)
            return self

        def predict(self, given):
            return self.inner_.predict(given)

    kept = best_features(epochs, features, Joint())
    np.testing.assert_array_equal(kept, best_features(responses, features, RIDGE))
    with pytest.raises(
        ValueError, match=r"'Linear-2' \(Joint\) fits its dimensions together; leave block out"
    ):
        best_features(epochs, features, Joint(), block=8)


@given(
    st.lists(st.integers(-30, 30), min_size=1, max_size=60).map(lambda v: np.array(v) / 30),
    st.integers(1, 100),
    st.integers(0, 10),
)
def test_the_share_kept(r, percent, constants):
    keep = percent / 100
    r = np.concatenate([r, np.full(constants, np.nan)])
    kept = selection._best(r, keep)
    assert not kept[np.isnan(r)].any()
    if kept.any():
        border = r[kept].min()
        np.testing.assert_array_equal(kept, np.nan_to_num(r, nan=-2) >= border)
        assert np.sum(r > border) < keep * r.size + 1 + 1e-9, "but for ties no more than the share"
    known = np.nan_to_num(r, nan=-2.0)
    assert kept.sum() >= min(np.isfinite(r).sum(), int(keep * r.size))
    exact = np.percentile(known, 100 - percent, method="higher")
    if (r.size - 1) * (100 - percent) % 100:
        np.testing.assert_array_equal(kept, (known >= exact) & np.isfinite(r))


@pytest.mark.parametrize("n", [4, 40, 400, 38400])
@pytest.mark.parametrize("percent", [5, 10, 25, 30, 50, 70, 75, 90, 100])
def test_without_ties_the_share_is_that_of_the_percentile(n, percent):
    r = np.random.default_rng(n).permutation(n) / n
    assert selection._best(r, percent / 100).sum() == 1 + (n - 1) * percent // 100
    if n == 38400 and percent == 25:
        assert selection._best(r, 0.25).sum() == 9600


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": 0.0}, "keep must be a share above 0 and at most 1, got 0.0"),
        ({"keep": 25}, r"got 25; the paper's 25 % is keep=0\.25"),
        ({"train": "training"}, "train='training' is no value of 'split'; there are 'test', 'train'"),
        ({"folds": 61}, "folds=61 must be from 2 to 60"),
        ({"folds": "session"}, "folds='session' is no sample coordinate"),
        ({"block": 0}, "block must be at least 1 feature, got 0"),
        ({"responses": [1.0]}, "responses must be a labelled xarray.DataArray, not list"),
        ({"features": {}}, "features are empty"),
        ({"decoder": {"other": RIDGE}}, r"no decoder for the feature space\(s\) 'Linear-2'"),
    ],
)
def test_errors_come_before_the_first_fit(change, message):
    responses, features = planted()
    given_ = {"responses": responses, "features": features, "decoder": Untouched()} | change
    first = [given_.pop(k) for k in ("responses", "features", "decoder")]
    with pytest.raises((ValueError, TypeError), match=message):
        best_features(*first, **given_)


def test_folds_that_share_stimuli_are_refused():
    responses, features = planted(repeats=2)
    by_run = responses.assign_coords(run=("sample", np.repeat([1, 2], responses.sizes["sample"] // 2)))
    with pytest.raises(ValueError, match="share 60 of 60 test stimuli"):
        best_features(by_run, features, Untouched(), folds="run")


def test_a_space_of_constants_is_refused():
    responses, features = planted()
    with pytest.raises(ValueError, match="'Linear-2': all 40 dimensions are constant"):
        best_features(responses, features * 0.0, RIDGE)


def test_says_how_it_was_made_and_survives_the_file(tmp_path):
    responses, features = planted()
    kept = best_features(responses, features, RIDGE, keep=0.5)
    made = nd.store.provenance(kept)
    assert made["what"] == "selection.best_features"
    assert made["parameters"]["keep"] == kept.attrs["keep"] == 0.5
    assert kept.r.attrs["units"] == "Pearson r"
    nd.save(kept, tmp_path / "kept.nc")
    xr.testing.assert_identical(nd.load(tmp_path / "kept.nc"), kept)

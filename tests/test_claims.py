"""What the README and docs/evidence.md claim of the embedded lab, through the library's own calls (simulated data)."""

import numpy as np
import pytest

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets.lab.truth import map_auc, peak_error

SUBJECTS = 4
WITHIN = 0.025 + 1e-9
DIMENSIONS = 256
SHALLOW = ["Linear-2", "Linear-4", "Linear-6"]
WITHOUT = ("Linear-8", "Linear-10", "Linear-12", "final")


@pytest.fixture(scope="module")
def mapped():
    """Return responses, decoder as in analyses/weight_map.py, and truth of one subject."""
    data = inputs.lab("fmri", subjects=1)
    subject, responses = next(iter(data.responses.items()))
    train = responses.isel(sample=nd.folds.select(responses, "train", who="train"))
    features = nd.brain.stack(inputs.thinned(data.features, DIMENSIONS, without=WITHOUT))
    return train, nd.RidgeDecoder(alpha=100.0, n_voxels=250).fit(train, features), data.truth[subject]


@pytest.fixture(scope="module")
def curves():
    """Return identification over time in MEG and EEG, mean over subjects, and the truth."""
    found = {}
    for modality in ("meg", "eeg"):
        data = inputs.lab(modality, subjects=SUBJECTS)
        decoder = nd.RidgeDecoder(alpha=100.0)
        features = inputs.thinned(data.features, DIMENSIONS, without=WITHOUT)
        score = nd.temporal.sweep(data.responses, features, decoder, tmin=-0.1, tmax=0.32)
        found[modality] = score.mean("fold", keep_attrs=True), next(iter(data.truth.values()))
    return found


@pytest.mark.parametrize("kind", ["filter", "pattern", "selection"])
def test_maps_find_the_planted_voxels(mapped, kind):
    train, decoder, truth = mapped
    auc = map_auc(nd.spatial.weight_map(decoder, kind=kind, responses=train), truth)
    assert (auc >= 0.89).all(), auc.to_pandas()


def test_the_region_with_the_highest_profile_carries_the_feature(mapped):
    train, decoder, truth = mapped
    weights = nd.spatial.weight_map(decoder, kind="pattern", responses=train)
    profile = nd.spatial.region_profile(weights, n_permutations=199, n_bootstrap=199)
    best = {
        layer: str(profile["mean"].sel(layer=layer).idxmax("region").item()) for layer in weights.layer.values
    }
    assert best["c"] in nd.brain.GROUPS["HVC"]
    assert all(best[layer] in nd.brain.GROUPS["LVC"] for layer in SHALLOW), best
    gain = truth["gain"].sel(layer="z")
    assert gain.sel(region=best["z"]) >= 0.5 * gain.max()
    for layer, region in best.items():
        assert profile["p"].sel(layer=layer, region=region) < 0.01


def test_decoding_peaks_when_it_was_planted(curves):
    score, truth = curves["meg"]
    curve = score.mean("subject", keep_attrs=True)
    error = peak_error(curve, truth)
    assert (np.abs(error) <= WITHIN).all(), error.to_pandas()


def test_before_onset_decoding_is_at_chance(curves):
    for score, _ in curves.values():
        before = score.sel(window=score.stop < 0).mean(("window", "subject", "layer"))
        assert abs(before - score.attrs["chance"]) < 0.02


def test_eeg_carries_less_structure_than_meg(curves):
    def best(modality):
        return curves[modality][0].sel(layer=SHALLOW).max("window").mean("layer")

    assert best("eeg").mean() < best("meg").mean() - 0.05
    assert (best("eeg").values < best("meg").mean().item()).all(), "for every subject"

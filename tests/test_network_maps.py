"""analyses/network_maps.py: what was planted in two channels at one time is where and when every map is largest."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode import cli, inputs

mpl.use("Agg")
pytest.importorskip("torch")

ROOT = Path(__file__).parents[1]
LAYERS, CHANNELS = ("Linear-2", "c"), [2, 5]
# Each layer's stretch of time samples at 100 Hz, and its middle in s.
TIMES = {"Linear-2": slice(8, 14), "c": slice(18, 24)}
PEAK = {"Linear-2": 0.105, "c": 0.205}
HEADS = ("pattern_channel", "drop_channel", "evidence_channel")
COURSES = ("drop_window", "evidence_window")


def planted(subject, *, n=200, seed=0):
    """Epochs of 8 channels x 32 times: two channels carry each layer, at a time of its own; the rest is noise."""
    rng = np.random.default_rng(seed)
    names = [f"image_{i:03d}" for i in range(n)]
    layer = np.repeat(LAYERS, 4)
    features = nd.brain.features(rng.normal(size=(n, 8)), stimulus=names, layer=layer)
    values = 0.7 * np.random.default_rng([seed, int(subject)]).normal(size=(n, 8, 32))
    for name, times in TIMES.items():
        here = features.values[:, layer == name]
        values[:, CHANNELS, times] += np.einsum("nf,fct->nct", here, rng.normal(size=(4, 2, 6)))
    angle = np.arange(8) * np.pi / 4
    epochs = nd.brain.meeg(
        values, sample=names, stimulus=names, channel=[f"E{i}" for i in range(8)], time=np.arange(32) / 100,
        kind="eeg", xyz=0.09 * np.column_stack([np.cos(angle), np.sin(angle), np.arange(8) / 20]),
        subject=subject, split=["train"] * 150 + ["test"] * 50,
    )  # fmt: skip
    return epochs, features


def run_main(*words):
    """Run the script's main in this process, as its command line would."""
    spec = importlib.util.spec_from_file_location("network_maps", ROOT / "analyses" / "network_maps.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["network_maps.py", *map(str, words)])
        script.main()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The result file of two planted subjects, made by the script's own main."""
    out = tmp_path_factory.mktemp("maps")
    recorded = {subject: planted(subject) for subject in ("1", "2")}
    truth = xr.Dataset({"peak": ("layer", list(PEAK.values()))}, coords={"layer": list(PEAK)})
    data = inputs.Inputs(
        {s: epochs for s, (epochs, _) in recorded.items()},
        nd.brain.spaces(recorded["1"][1]),
        dict.fromkeys(recorded, truth),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "read", lambda args: data)
        run_main("--out", out)
    return out / "network_maps_eeg.nc"


def rows(result, names):
    """Every map or course (part, layer) of every decoder and subject."""
    for name in names:
        array = result[name]
        dims = [d for d in ("decoder", "subject") if d in array.dims]
        for key, one in array.stack(row=dims).groupby("row"):
            yield f"{name} {key}", one.squeeze("row")


def test_the_planted_channels_are_the_largest_in_every_map(written) -> None:
    result = nd.load(written)
    found = list(rows(result, HEADS))
    assert len(found) == 2 + 4 + 4
    for name, one in found:
        for layer in LAYERS:
            order = one.sel(layer=layer).sortby(one.sel(layer=layer), ascending=False)
            assert set(order["channel"].values[:2]) == {"E2", "E5"}, (name, layer)
            assert order.values[1] > 2 * order.values[2], (name, layer)


def test_the_planted_time_is_the_peak_of_every_course(written) -> None:
    result = nd.load(written)
    found = list(rows(result, COURSES))
    assert len(found) == 4 + 4
    for name, one in found:
        for layer in LAYERS:
            best = float(one.sel(layer=layer).idxmax("window"))
            assert best == pytest.approx(PEAK[layer], abs=0.03), (name, layer)
    np.testing.assert_allclose(result["peak"], list(PEAK.values()))
    for name in ("drop", "evidence"):
        error = result[f"{name}_peak_error"]
        assert set(error.dims) == {"decoder", "layer", "subject"}
        assert float(abs(error).max()) < 0.02
    # Both axes at once: the largest evidence of all channels and windows.
    at = result["evidence"].argmax(("window", "channel"))
    assert set(result["channel"].values[at["channel"].values.ravel()]) <= {"E2", "E5"}


def test_ranks_and_scores_are_those_of_the_maps(written) -> None:
    from scipy.stats import spearmanr

    result = nd.load(written)
    drop = result["drop_channel"]
    others = {
        "ridge pattern": result["pattern_channel"],
        "ridge occlusion": drop.sel(decoder="ridge"),
        "network gradient x input": result["evidence_channel"].sel(decoder="network"),
    }
    assert result["map"].values.tolist() == list(others)
    for name, other in others.items():
        for subject in ("1", "2"):
            for layer in LAYERS:
                here = {"subject": subject, "layer": layer}
                expected = spearmanr(drop.sel(decoder="network", **here), other.sel(**here)).statistic
                assert float(result["rank_correlation"].sel(map=name, **here)) == pytest.approx(expected)
    assert float(result["score"].sel(decoder="ridge").min()) > 0.6
    # By seed and by version of torch the networks reach .39 to .86; by chance they would reach 0.
    assert float(result["score"].sel(decoder="network").min()) > 0.3
    # Hiding all that was planted costs the whole score: no drop is larger than it.
    assert float((result["drop_window"] - result["score"]).max()) < 0.2
    assert result.attrs["simulated"]
    assert nd.store.provenance(result)["what"] == "network_maps"


def test_the_command_draws_it(written, tmp_path) -> None:
    assert cli.main(["figure", str(written), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "network_maps_eeg.png").stat().st_size > 10_000


def test_identification_by_networks_is_drawn_by_the_command(tmp_path) -> None:
    """Results as analyses/networks.py writes them."""
    rng = np.random.default_rng(0)
    names = [f"image_{i}" for i in range(20)]
    truth = nd.brain.features(rng.normal(size=(20, 6)), stimulus=names)
    found = []
    for noise in (0.5, 2.0):
        guesses = {}
        for subject in ("1", "2"):
            values = truth.values + noise * rng.normal(size=truth.shape)
            coords = {"sample": names, "stimulus": ("sample", names)}
            guesses[subject] = xr.DataArray(values, dims=("sample", "feature"), coords=coords)
        found.append(nd.retrieval.identify(guesses, truth, k=(1, 5)))
    result = xr.concat(found, xr.Variable("model", ["ridge", "nice"]), combine_attrs="override")
    said = {"modality": "eeg", "network_size": "small", "shuffled": False, "simulated": True}
    nd.save(result.assign_attrs(said), tmp_path / "networks_eeg.nc")
    assert cli.main(["figure", str(tmp_path / "networks_eeg.nc"), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "networks_eeg.png").stat().st_size > 10_000


def test_a_space_that_is_not_there_is_named(tmp_path) -> None:
    epochs, features = planted("1")
    nd.save(epochs, tmp_path / "epochs.nc")
    nd.save(features, tmp_path / "features.nc")
    with pytest.raises(ValueError, match=r"--layers: 'z' of 2 not among the spaces 'Linear-2', 'c'"):
        run_main(
            "--responses", tmp_path / "epochs.nc", "--features", tmp_path / "features.nc", "--layers", "c", "z",
            "--out", tmp_path,
        )  # fmt: skip
    assert not list(tmp_path.glob("network_maps*"))

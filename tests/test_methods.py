"""Methods told of results: real calls on tiny data, then the words, the numbers, and nothing that is not known."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import tempfile
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import neurodecode as nd
from neurodecode import cli
from neurodecode.methods import made as reading
from neurodecode.methods.kinds import KINDS, sentences

ROOT = Path(nd.__file__).resolve().parent
NAMES = [f"img_{i}" for i in range(24)]
SPLIT = ["train"] * 16 + ["test"] * 8
SOURCE = re.compile(r"[A-Z][\w&, .]*? (?:et al\. )?\d{4}(?=[;)])")
NUMBER = re.compile(r"(?:(?<!\w)-)?\d+(?:\.\d+)*(?:e[+-]?\d+)?")


def features() -> xr.DataArray:
    return nd.brain.features(np.random.default_rng(0).normal(size=(24, 3)), stimulus=NAMES)


def voxels() -> xr.DataArray:
    rng = np.random.default_rng(1)
    values = features().values @ rng.normal(size=(3, 10)) + rng.normal(size=(24, 10))
    return nd.brain.fmri(
        values, sample=NAMES, stimulus=NAMES, roi=["V1"] * 5 + ["V4"] * 5, run=[1, 2, 3] * 8, split=SPLIT
    )


def epochs() -> xr.DataArray:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(24, 2, 20))
    time = np.arange(20) / 100 - 0.05
    return nd.brain.meeg(values, sample=NAMES, stimulus=NAMES, channel=["O1", "O2"], time=time, split=SPLIT)


def decode(alpha=10.0, *, decoder=None, **options) -> xr.DataArray:
    decoder = decoder or nd.RidgeDecoder(alpha)
    return nd.spatial.decode(voxels(), features(), decoder, **({"regions": ["V1"]} | options))


def sweep(subjects=1, **options) -> xr.DataArray:
    several = {f"s{i}": epochs() for i in range(subjects)}
    return nd.temporal.sweep(
        several, features(), nd.RidgeDecoder(5.0), **({"width": 0.05, "step": 0.05} | options)
    )


def identify(**options) -> xr.Dataset:
    decoder = nd.RidgeDecoder().fit(voxels()[:16], features())
    return nd.retrieval.identify(decoder.predict(voxels()[16:]), features(), **options)


def weight_map(**options) -> xr.DataArray:
    train = voxels()[:16]
    decoder = nd.RidgeDecoder(7.0).fit(train, features())
    return nd.spatial.weight_map(decoder, **({"kind": "pattern", "responses": train} | options))


def bootstrapped(**options) -> xr.Dataset:
    seen = voxels().drop_vars("split")
    return nd.spatial.map_bootstrap(nd.RidgeDecoder(7.0), seen, features(), n_bootstrap=5, **options)


def permuted(**options) -> xr.Dataset:
    settings = {"n_permutations": 6, "n_pilot": 20} | options
    seen = voxels().drop_vars("split")
    return nd.spatial.map_permutation(nd.RidgeDecoder(7.0), seen, features(), **settings)


def transferred(**options) -> xr.DataArray:
    return nd.spatial.transfer(voxels(), features(), nd.RidgeDecoder(6.0), by="run", folds=2, **options)


def across() -> xr.DataArray:
    cells = {name: epochs() for name in ("a", "b", "c")}
    return nd.spatial.transfer_across(cells, features(), nd.RidgeDecoder(6.0), folds=4)


def similar() -> xr.DataArray:
    parameters = {"method": "crossnobis", "by": "stimulus", "cv": "run", "rsatoolbox": "0.3.2"}
    return nd.store.stamp(features(), what="rsa.rdm", parameters=parameters)


def clusters(**options) -> xr.Dataset:
    return nd.inference.clusters(sweep(5), **({"n_permutations": 32} | options))


def enhanced() -> xr.Dataset:
    scores = sweep(5)
    noise = np.random.default_rng(0).normal(size=scores.shape)
    return nd.inference.clusters(scores.copy(data=scores + noise), threshold="tfce", n_permutations=32)


def differed(**options) -> xr.Dataset:
    a, b = (sweep(6).assign_coords(decoder=name) for name in ("ridge", "network"))
    return nd.inference.clusters(a, against=b, **({"n_permutations": 32} | options))


def latency(*, difference=False, **options) -> xr.Dataset:
    scores = sweep(6)
    if difference:
        return nd.inference.latency_difference(scores, scores, n_bootstrap=100, **options)
    return nd.inference.latency(scores, **({"n_bootstrap": 100} | options))


def compared(**options) -> xr.Dataset:
    scores = sweep(5)
    return nd.inference.compare(scores.isel(window=0), scores.isel(window=1), n_bootstrap=100, **options)


def null(n=9, **options) -> xr.DataArray:
    analysis = partial(nd.temporal.sweep, decoder=nd.RidgeDecoder(5.0), width=0.05, step=0.05)
    return nd.inference.null(analysis, {"s0": epochs()}, features(), n=n, **({"seed": 7} | options))


def permutation(**options) -> xr.Dataset:
    return nd.inference.permutation(sweep(), null(), **options)


def mixed(**options) -> xr.Dataset:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(5, 1, 1)) + rng.normal(size=(1, 6, 1)) + rng.normal(size=(5, 6, 2))
    coords = {"subject": [*"abcde"], "stimulus": [*"uvwxyz"], "region": ["V1", "LO"]}
    scores = xr.DataArray(values, coords, ("subject", "stimulus", "region"), attrs={"units": "r"})
    return nd.inference.mixed(
        scores, fixed="region", trials=False, slopes=["subject"], **({"df": 4} | options)
    )


def maps_of_time(**options) -> xr.DataArray:
    decoder = nd.RidgeDecoder().fit(epochs()[:16], features())
    return nd.temporal.occlusion(decoder, epochs(), features(), **options)


def gradient() -> xr.DataArray:
    decoder = nd.RidgeDecoder().fit(epochs()[:16], features())
    return nd.temporal.gradient_input(decoder, epochs(), features(), width=0.05)


def ceilings(how=nd.ceilings.ncsnr, n_bootstrap=9) -> xr.Dataset:
    values = np.random.default_rng(3).normal(size=(48, 4))
    return how(nd.brain.fmri(values, sample=range(48), stimulus=NAMES * 2), n_bootstrap=n_bootstrap, seed=4)


def normalised(score="profile") -> xr.Dataset:
    scores = encoded(score=score).isel(voxel=slice(4))
    return nd.ceilings.normalise(scores, ceilings()["reliability" if score == "r2" else "ceiling"])


def decoded_ceiling() -> xr.DataArray:
    one = voxels()
    trials = xr.concat(
        [one, one + np.random.default_rng(5).normal(size=one.shape)], "sample", combine_attrs="override"
    )
    trials = trials.assign_coords(sample=[f"trial_{i}" for i in range(48)])
    return nd.spatial.ceiling(one, features(), nd.RidgeDecoder(), trials=trials, regions=["V1"])


def prepared(responses=None, **options) -> xr.DataArray:
    from neurodecode.datasets.prepared import write

    with tempfile.TemporaryDirectory() as folder:
        responses = voxels() if responses is None else responses
        return write(responses, Path(folder) / "a.zarr", **options, progress=False).load()


def encoded(bands: bool = False, alpha=(1.0, 10.0), **options) -> xr.DataArray:
    encoder = nd.RidgeEncoder(alpha, bands="layer", n_candidates=6) if bands else nd.RidgeEncoder(3.0)
    return nd.encoding.score(voxels(), {"c": features(), "z": features()}, encoder, **options)


def partitioned(**options) -> xr.Dataset:
    spaces = {"c": features(), "z": features().roll(stimulus=3, roll_coords=False)}
    regions = ["V1", "V4"]
    return nd.encoding.partition(
        voxels(), spaces, nd.RidgeEncoder(3.0), regions=regions, **({"n_bootstrap": 30, "seed": 4} | options)
    )


def best_layer(**options) -> xr.Dataset:
    return nd.encoding.best_layer(encoded(), **({"least": 0.2, "margin": 0.0} | options))


RESULTS = {
    "encode": encoded,
    "encode, bands": lambda: encoded(bands=True),
    "partition": partitioned,
    "best layer": best_layer,
    "decode": decode,
    "decode, folds": lambda: decode(folds=4),
    "decode, grid": lambda: decode([1.0, 33.0], folds="run"),
    "sweep": sweep,
    "group": lambda: nd.inference.group(sweep(3)),
    "above chance": lambda: nd.inference.above_chance(sweep(3)),
    "generalise": lambda: nd.temporal.generalise(epochs(), features(), nd.RidgeDecoder(), width=0.1, step=0.1),
    "patterns": lambda: nd.temporal.patterns(epochs(), features(), nd.RidgeDecoder(), width=0.1, step=0.1),
    "identify": identify,
    "identify, n-way": lambda: identify(n_way=6, k=2, interval="bootstrap", n_bootstrap=40, seed=9),
    "best features": lambda: nd.selection.best_features(voxels(), features(), nd.RidgeDecoder(), folds=4),
    "weight map": weight_map,
    "selection map": lambda: nd.spatial.weight_map(
        nd.RidgeDecoder(n_voxels=3).fit(voxels(), features()), kind="selection"
    ),
    "map bootstrap": bootstrapped,
    "map permutation": lambda: permuted(blocks="run", reduce="mean"),
    "transfer": transferred,
    "transfer across": across,
    "dissimilarities": similar,
    "profile": lambda: nd.spatial.region_profile(weight_map(), ["V1", "V4"], n_permutations=9, n_bootstrap=8),
    "contrast": lambda: nd.spatial.contrast(weight_map(), pair=("V1", "V4"), n_permutations=9),
    "clusters": clusters,
    "shuffles": lambda: nd.inference.shuffles(voxels(), n=5, blocks="run", folds=3),
    "null": null,
    "permutation": permutation,
    "clusters, difference": differed,
    "latency": latency,
    "latency difference": lambda: latency(difference=True),
    "compare": compared,
    "mixed": mixed,
    "occlusion": maps_of_time,
    "gradient": gradient,
    "ncsnr": ceilings,
    "decoded ceiling": decoded_ceiling,
    "halves": lambda: ceilings(nd.ceilings.split_half),
    "normalised": normalised,
    "centres": lambda: nd.store.stamp(features(), what="retrieval.concept_centres", parameters={}),
    "prepared": lambda: prepared(normalise=nd.prepare.ZScore(by="run"), average=["test"]),
    "unknown": lambda: nd.store.stamp(features(), what="my.own", parameters={"x": 3.5}),
}  # fmt: skip


@pytest.fixture(scope="module")
def results() -> dict[str, xr.DataArray | xr.Dataset]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: make() for name, make in RESULTS.items()}


def said(result, **options) -> str:
    return nd.methods.paragraph(result, **options)


def changed(one: str, other: str) -> tuple[str, str]:
    """Words that differ, in order."""
    a, b = one.split(), other.split()
    assert len(a) == len(b), (one, other)
    pairs = [(x.strip(",.;()"), y.strip(",.;()")) for x, y in zip(a, b, strict=True) if x != y]
    return " ".join(x for x, _ in pairs), " ".join(y for _, y in pairs)


# ------------------------------------------------------------------------------------------------------ the words
def test_decode_in_full():
    made = nd.store.provenance(result := decode())
    v = made["versions"]
    assert said(result) == (
        "From the responses of 1 subject, the feature space features (3 features) was decoded in the region V1. "
        "The decoder was ridge regression (Hoerl & Kennard 1970) of every feature on its own, with the penalty 10. "
        "Responses and features were z-scored with the means and standard deviations of the training samples; the "
        "intercept was not penalised. "
        'Decoders were fitted on the samples of the split "train" and tested on the samples of the split "test" '
        "(16 training and 8 test samples). No sample and no labelled stimulus was in both parts. "
        "Accuracy was Pearson's correlation of predicted and true values over test samples, feature by feature, and "
        "averaged; chance was 0. "
        f"The analysis was run in neurodecode {made['version']} with Python {v['Python']}, numpy {v['numpy']}, xarray "
        f"{v['xarray']} and scikit-learn {v['scikit-learn']}."
    )


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (lambda: decode(10.0), lambda: decode(2.5), ("10", "2.5")),
        (lambda: decode([1.0, 3.0]), lambda: decode([1.0, 4.0]), ("3", "4")),
        (lambda: decode(regions=["V1"]), lambda: decode(regions=["V4"]), ("V1", "V4")),
        (lambda: decode(folds=4), lambda: decode(folds=3), ("4-fold 18 6", "3-fold 16 8")),
        (lambda: sweep(width=0.05), lambda: sweep(width=0.06), ("4 0.05 0.14", "3 0.06 0.1")),
        (lambda: sweep(score="top1"), lambda: sweep(score="pairwise"), None),
        (lambda: identify(n_way=6, k=2), lambda: identify(n_way=8, k=2), ("6 0.3333", "8 0.25")),
        (lambda: clusters(seed=3), lambda: clusters(seed=8), ("3", "8")),
        (lambda: clusters(alpha=0.05), lambda: clusters(alpha=0.04), ("0.05", "0.04")),
        (lambda: weight_map(reduce="l2"), lambda: weight_map(reduce="mean"),
         None),
    ],
)  # fmt: skip
def test_a_setting_changes_its_words_alone(one, other, words):
    a, b = said(one()), said(other())
    assert a != b
    if words:
        assert changed(a, b) == words
    else:
        # Another score or reduction has words of other length: all sentences but one are the same.
        first, second = a.split(". "), b.split(". ")
        assert len(first) == len(second)
        assert sum(x != y for x, y in zip(first, second, strict=True)) == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: decode([1.0, 3.0]), "chosen for every feature from 1 and 3, by leave-one-out on the training samples"),
        (lambda: decode(list(np.geomspace(1, 512, 10))), "from 10 values of 1 to 512, by leave-one-out"),
        (lambda: decode(np.geomspace(1, 50, 40)), "from a grid, by leave-one-out"),
        (lambda: decode(decoder=nd.RidgeDecoder([1, 3], folds=4)), "from 1 and 3, by 4 folds of the training samples"),
        (lambda: decode(decoder=nd.RidgeDecoder([1, 3], folds="run")), 'leaving out one value of "run" of the'),
        (lambda: decode(decoder=nd.RidgeDecoder(n_voxels=4)), "fitted on the 4 responses that correlated most with it"),
        (lambda: decode(decoder=nd.RidgeDecoder(standardise=False)), "were not standardised"),
        (lambda: decode(decoder=nd.RidgeDecoder(intercept="penalised")), "the intercept was penalised like a weight"),
        (lambda: decode(folds="run"), 'left out one value of "run" at a time (3 folds), with 16 training and 8 test'),
        (lambda: decode(shared="stimulus"), 'they were allowed to share values of "stimulus"'),
        (lambda: decode(shared="any"), "they were allowed to share stimuli and all other labels"),
        (lambda: decode(train=NAMES[:9], test=NAMES[9:]), "on a given set of samples (9 training and 15 test samples)"),
        (lambda: decode(by="feature", score="r2"), "over test samples, feature by feature; chance was"),
        (lambda: decode(score=lambda p, t: 1.0), 'Accuracy was the score "<lambda>"'),
        (lambda: decode(regions=["V1", "V4"]), "separately in each of 2 regions (V1 and V4)"),
        (lambda: decode().assign_attrs(simulated=True), "The data were simulated."),
        (lambda: sweep(scheme="growing"), "windows that grew from a width of 0.05 s"),
        (sweep, "4 sliding windows of 0.05 s in steps of 0.05 s (samples every 0.01 s), from -0.05 s to 0.14 s"),
        (sweep, "right candidate was the one most like the prediction); chance was 0.125"),
        (lambda: sweep().isel(window=[0]), "in steps of 0.05 s (samples every 0.01 s). The decoder"),  # not "4, from"
        (clusters, "over 5 subjects, with sign flips in 32 permutations; clusters with p of at most 0.05 counted"),
        (RESULTS["shuffles"], 'as wholes in 5 random orders, within the blocks of "run".'),
        (null, "exchanged their features as wholes in 9 random orders, within each side of the split, and all of it"),
        (null, "4 sliding windows of 0.05 s in steps"),
        (permutation, "tested one-sided by permutation (Phipson & Smyth 2010): stimuli exchanged their features as "),
        (permutation, "by the largest score of each order (Westfall & Young 1993) over windows and layers."),
        (lambda: permutation(correction="by", family="window"), "(Benjamini & Yekutieli 2001) over windows."),
        (clusters, "Student's t had a p below 0.05 formed clusters."),
        (enhanced, "was enhanced by its support (Smith & Nichols 2009)."),
        (lambda: clusters(tail=-1), "Stretches below chance (0.125) were found by a one-sided cluster permutation"),
        (lambda: clusters(family="all"), "The largest cluster over all layers made the null distribution."),
        (differed, "Stretches in which decoder ridge and decoder network differed were found by a two-sided cluster"),
        (latency, "Latencies were taken from the mean curve of 6 subjects. The onset was the last time before"),
        (latency, "standard error over subjects (100 bootstrap samples)."),
        (lambda: latency(interval="jackknife"), "at the level 0.95 were made by Student's t and the jackknife over"),
        (lambda: latency(within=(-0.05, 0.2)), "of 6 subjects, between -0.05 and 0.2 s."),
        (lambda: latency(difference=True), "Differences in latency of a and b were taken from the mean curve of 6"),
        (compared, "over 5 subjects, pair by pair, with intervals at the level 0.95. Differences were tested"),
        (compared, "t and by all flips of their signs, p values corrected over all comparisons (Holm 1979)."),
        (lambda: compared(correction="fdr"), "corrected for false discoveries (Benjamini & Hochberg 1995)."),
        (mixed, 'The effect of "region" against V1 was estimated by a linear mixed model (Baayen et al. 2008)'),
        (mixed, "random intercepts of subject and stimulus (5 and 6) and random effects of the condition by subject"),
        (mixed, "Intervals at the level 0.95 and p values are those of Student's t with 4 degrees of freedom."),
        (lambda: mixed(df=np.inf), "are those of Wald's z."),
        (lambda: mixed(df=None), "Student's t with each term's own degrees of freedom (Satterthwaite 1946)."),
        (encoded, "The responses of 1 subject were predicted from each of the feature spaces c (3 features) and z (3"),
        (encoded, "The encoder was ridge regression (Hoerl & Kennard 1970) of every response on its own, with the pen"),
        (encoded, 'Encoders were fitted on the samples of the split "train" and tested on'),
        (RESULTS["encode, bands"], 'Every band of features of "layer" had a penalty of its own (banded ridge; N'),
        (RESULTS["encode, bands"], "random search over 6 divisions of the penalty among bands (Dupre"),
        (RESULTS["encode, bands"], "chosen for every response from 1 and 10, by 5 folds of the training samples."),
        (partitioned, "divided among 2 sets of feature spaces (c: c; z: z)."),
        (partitioned, "Limits are percentiles at the level 0.95 of 30 bootstrap samples of 8 stimuli of the test sam"),
        (best_layer, "the layer with the best score, where that was above 0.2 ("),
        (identify, "8 test samples of 1 subject were identified among 24 stimuli. A prediction"),
        (identify, "the 1 and 5 candidates most like it by Pearson's correlation; chance was 0.04167 and 0.2083"),
        (weight_map, "Forward-model patterns (Haufe et al. 2014) of 10 voxels were mapped, reduced to the mean of"),
        (lambda: weight_map(kind="filter"), "The decoder's weights of 10 voxels were mapped"),
        (lambda: weight_map(kind="joint"), "Forward-model patterns of all features jointly (Haufe et al. 2014) of 10"),
        (bootstrapped, "5 bootstrap samples of 24 stimuli with all their samples (Efron & Tibshirani 1993)"),
        (lambda: bootstrapped(refit=False), "weights were held, and its patterns estimated again on each"),
        (permuted, "tested for being larger against decoders of features that were shuffled over stimuli"),
        (lambda: permuted(blocks="run", reduce="mean"), 'two-sided against decoders of features'),
        (lambda: permuted(blocks="run"), 'within values of "run", repeats kept together (6 permutations; Phipson'),
        (transferred, 'fitted on equally many samples of every value of "run", and tested on those of every'),
        (transferred, "; 2 parts of the stimuli were left out of training in turn, and tested. No sample"),
        (transferred, "of the same recording's or value's own training samples. Accuracy was"),
        (across, "(3 features) was decoded of 3 recordings. The decoder"),
        (similar, 'were computed by the method "crossnobis", cross-validated over values of "run" (Walther'),
        (RESULTS["best features"], "of each space, a share of 0.25 of the features, those decoded best, were kept"),
        (RESULTS["above chance"], "(one-sided t-test over 3 subjects, Benjamini-Hochberg; Benjamini & Hochberg 1995)"),
        (RESULTS["group"], "Means and standard errors were taken over subjects."),
        (RESULTS["profile"], "Averages of the maps of 1 subject were taken over the voxels of 2 regions (V1 and V4)."),
        (RESULTS["prepared"], 'of the training samples, separately for each value of "run". Repeats of a'),
        (lambda: prepared(epochs(), normalise=nd.prepare.MVNN(), average="all"), "(Guggenmos et al. 2018). "),
        (decoded_ceiling, "those of the decoders' predictions, from repeats of the test stimuli by the analysis of"),
        (decoded_ceiling, "for averages of 2 trials."),
        (lambda: encoded(bands=True, alpha=7.0), "the penalty 7, divided among bands for every response, by 5 folds"),
        (partitioned, "of coefficients about the true mean, and moved outwards for few of them (Hesterberg 2015)."),
        (bootstrapped, "Student's t times the standard deviation over draws of Fisher's z, transformed back."),
        (lambda: bootstrapped(kind="filter"), "are those of Student's t times the standard error."),
        (lambda: sweep(3).pipe(lambda s: nd.inference.group(s.rename(subject="stimulus"), over="stimulus")),
         "taken over stimuli."),
        (normalised, "by the analysis of variance (Searle, Casella & McCulloch 1992; Allen et al. 2022). They hold"),
        (normalised, "response by response. Noise ceilings were"),
        (lambda: normalised("r2"), "as coefficients of determination about the true mean, were divided by their"),
        (RESULTS["ncsnr"], "from 48 trials of 24 stimuli by the analysis of variance"),
        (RESULTS["unknown"], 'made by "my.own", of whose methods only the parameters are known. The analysis was run'),
    ],
)  # fmt: skip
def test_words(make, words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert words in said(make())


def test_what_a_result_was_made_of_is_told_first(results):
    text = said(results["clusters"])
    assert (
        text.index("sliding windows") < text.index("the penalty 5") < text.index("cluster permutation test")
    )
    assert "Forward-model patterns" in said(results["profile"])
    two = {"a": weight_map(), "b": weight_map(kind="filter")}
    profile = nd.spatial.region_profile(two, ["V1"], n_permutations=2, n_bootstrap=2)
    assert "were made in different ways" in said(profile)
    assert "Forward-model" not in said(profile)


def test_no_seed_is_told_where_none_was_used(results):
    assert "seed" not in said(results["identify"]) + said(results["occlusion"])
    assert "seed" not in said(partitioned(n_bootstrap=0)) + said(ceilings(n_bootstrap=0))
    assert "seed of the random numbers was 4" in said(ceilings(nd.ceilings.split_half, n_bootstrap=0))
    assert "Accuracy" not in said(results["decoded ceiling"])
    assert "The seed of the random numbers was 9." in said(results["identify, n-way"])
    assert "seed of the random numbers was 3" in said(maps_of_time(fill="permute", seed=3, n_permutations=2))


def test_two_decoders_are_told_apart():
    spaces = {"c": features(), "z": features(), "w": features()}
    ridges = {"c": nd.RidgeDecoder(1.0), "z": nd.RidgeDecoder(2.0), "w": nd.RidgeDecoder(1.0)}
    text = said(nd.spatial.decode(voxels(), spaces, ridges, regions=["V1"]))
    assert "c (3 features), z (3 features) and w (3 features) were decoded" in text
    assert re.search(r"The decoder of c and w was .* penalty 1\..*The decoder of z was .* penalty 2\.", text)


def test_an_estimator_that_we_do_not_know_is_only_named():
    from sklearn.linear_model import Lasso

    text = said(nd.store.stamp(features(), what="weight_map", parameters={"decoder": Lasso(alpha=0.2)}))
    assert text.startswith("The decoder was an estimator of the class Lasso. The analysis was run")


def test_networks_and_two_stages():
    network = nd.networks.NetworkDecoder("nice", epochs=7, batch=5, validation=0.3, patience=4, seed=6)
    history = xr.Dataset({"loss": ("epoch", np.ones(3))})
    text = said(
        nd.store.stamp(
            history, what="networks.NetworkDecoder", parameters=network.get_params(deep=False), seed=6
        )
    )
    assert 'architecture "nice" (Song et al. 2024) in the size "full"' in text
    assert "at most 7 epochs with AdamW (Loshchilov & Hutter 2019; batches of 5, learning rate 0.0003" in text
    assert 'A share of 0.3 of the values of "concept"' in text
    assert "stopped after 4 epochs" in text
    assert "It ended after 3 epochs." in text
    assert text.count("seed") == 1

    from neurodecode.reconstruction.descent import Settings

    stages = {
        "generator": "diffusion", "latents": {"c": [2, 3], "z": [4]}, "encoder": "lab", "gamma": 0.2,
        "weighting": "equal", "settings": Settings(steps=12, rate=0.03),
    }  # fmt: skip
    pictures = xr.DataArray(np.zeros((2, 1)), dims=("sample", "row"))
    text = said(nd.store.stamp(pictures, what="reconstruction.TwoStage.refine", parameters=stages, seed=42))
    assert (
        'From decoded latents (c and z), the generator "diffusion" made a first picture of 2 samples.' in text
    )
    assert "a semantic term had the weight 0.2" in text
    assert "at most 12 steps of Adam (Kingma & Ba 2015) with the step size 0.03" in text
    assert "seed of the random numbers was 42" in text


# -------------------------------------------------------------------------------------------- nothing but what is known
def values_in(thing) -> set[float | str]:
    """Every number and every name in a record, and how many things its lists and mappings hold."""
    if isinstance(thing, dict):
        return {float(len(thing))}.union(*(values_in(v) | values_in(k) for k, v in thing.items()))
    if isinstance(thing, list):
        return {float(len(thing))}.union(*map(values_in, thing))
    if isinstance(thing, str):
        lists = {float(len(m.split(","))) for m in re.findall(r"\[([^\]]*)\]", thing)}
        return lists | set(NUMBER.findall(thing)).union(re.findall(r"\d+", thing)) | inside(thing)
    return {float(thing)} if isinstance(thing, int | float) else set()


def inside(text: str) -> set[float | str]:
    return values_in(json.loads(text)) if text.startswith("{") else set()


def known(result) -> set[float | str]:
    found = values_in(nd.store.provenance(result)) | {float(n) for n in result.sizes.values()}
    arrays = dict(result.coords) | (dict(result.data_vars) if isinstance(result, xr.Dataset) else {})
    for name, array in arrays.items():
        if array.dtype.kind in "iuf" and (name in result.coords or name in ("n", "chance")):
            found |= set(array.values.ravel().astype(float).tolist())
    return found | values_in({str(k): nd.store.describe(v) for k, v in result.attrs.items()})


def unknown(text: str, allowed: set[float | str]) -> list[str]:
    exact = {float(v) for v in allowed if isinstance(v, float) or v.count(".") < 2}
    bare = SOURCE.sub("", text)
    return [
        n
        for n in NUMBER.findall(bare)
        if n not in allowed
        and (n.count(".") > 1 or not any(np.isclose(float(n), e, rtol=1e-3, atol=0) for e in exact))
    ]


@pytest.mark.parametrize("name", RESULTS)
def test_every_number_is_known(name, results):
    text = said(results[name])
    assert unknown(text, known(results[name])) == []
    assert text.endswith(".")
    assert "None" not in text
    assert "  " not in text


def test_the_property_sees_a_number_that_is_not_known(results):
    text = said(results["decode"]) + " Of 77 voxels, 0.123 was enough."
    assert unknown(text, known(results["decode"])) == ["77", "0.123"]


NUMBERS = st.one_of(st.integers(1, 10**6), st.floats(1e-6, 1e6))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_record_with_holes_and_other_numbers_claims_nothing_else(data, results):
    """A record of an older version lacks parameters; every number is the record's own, whatever it is."""
    name = data.draw(st.sampled_from(sorted(results)))
    result = results[name]
    record = json.loads(result.attrs["provenance"])
    parameters = record["parameters"]
    for key in list(parameters):
        fate = data.draw(st.sampled_from(["keep", "drop", "change"]))
        if fate == "drop":
            del parameters[key]
        elif fate == "change" and type(parameters[key]) in (int, float):
            parameters[key] = data.draw(NUMBERS)
    if data.draw(st.booleans()):
        del record["versions"]
    attrs = {} if data.draw(st.booleans()) else dict(result.attrs)
    changed = result.drop_attrs(deep=False).assign_attrs({**attrs, "provenance": json.dumps(record)})
    text = said(changed)
    assert unknown(text, known(changed)) == []
    assert "None" not in text


@pytest.mark.parametrize(
    ("name", "parameter", "words"),
    [
        ("clusters", "tail", "one-sided"),
        ("clusters", "over", "subjects, with sign"),
        ("clusters", "threshold", "formed clusters"),
        ("latency", "share", "onset"),
        ("latency", "interval", "Intervals"),
        ("compare", "correction", "Holm"),
        ("compare", "level", "intervals"),
        ("mixed", "slopes", "condition by subject"),
        ("mixed", "df", "Student"),
        ("decode", "plan", "No sample"),
        ("map bootstrap", "level", "Limits"),
        ("map permutation", "blocks", "within values"),
        ("map permutation", "n_pilot", "further ones"),
        ("transfer", "rescale", "z-scored with the means and standard deviations of the same"),
        ("dissimilarities", "cv", "cross-validated"),
        ("decode", "decoders", "ridge"),
        ("decode", "score", "Accuracy"),
        ("weight map", "reduce", "reduced to"),
        ("sweep", "sampling_interval", "samples every"),
        ("best features", "keep", "share"),
        ("identify", "metric", "Pearson"),
        ("identify, n-way", "interval", "bootstrap"),
        ("occlusion", "fill", "replaced by"),
        ("ncsnr", "level", "Limits"),
        ("partition", "n_bootstrap", "Limits"),
        ("partition", "sets", "c: c"),
        ("best layer", "least", "above"),
        ("encode", "score", "Accuracy"),
    ],
)
def test_words_go_with_what_they_tell(name, parameter, words, results):
    record = json.loads(results[name].attrs["provenance"])
    assert words in said(results[name])
    del record["parameters"][parameter]
    assert words not in said(results[name].assign_attrs(provenance=json.dumps(record)))


def test_every_kind_says_something_of_an_empty_record():
    for what in KINDS:
        found = sentences(reading.Made({"what": what, "parameters": {}, "version": "0.1.0"}))
        assert all(found), what
        assert "None" not in " ".join(found), what


def test_every_stamp_of_the_library_has_its_words():
    """A call that begins to stamp its results needs sentences; this fails until it has them."""
    written = "\n".join(
        p.read_text(encoding="utf-8") for p in sorted(ROOT.rglob("*.py")) if "methods" not in p.parts
    )
    stamps = set(re.findall(r'what="([a-z_]+(?:\.\w+)+|weight_map)"', written))
    stamps |= set(re.findall(r'_WHAT = "([\w.]+)"', written)) | set(
        re.findall(r'whole, "(reconstruction[\w.]+)"', written)
    )
    stamps |= set(
        re.findall(r'"((?:temporal|spatial)\.(?:sweep|generalise|region_profile|contrast))"', written)
    )
    assert stamps >= {"spatial.decode", "temporal.generalise", "reconstruction.TwoStage.refine"}
    assert stamps == set(KINDS)


def test_sources_are_those_of_the_docstrings():
    here = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "methods").glob("*.py"))
    others = " ".join(
        p.read_text(encoding="utf-8") for p in sorted(ROOT.rglob("*.py")) if "methods" not in p.parts
    )
    others = re.sub(r"\s+", " ", others)
    cited = set(re.findall(r"[A-Z][A-Za-z]+(?:,? (?:& )?[A-Z][A-Za-z]+)*(?: et al\.)? (?:19|20)\d\d", here))
    assert len(cited) >= 20
    assert [c for c in sorted(cited) if c not in others] == []


# -------------------------------------------------------------------------------------------------------- the table
def cells(result) -> dict[str, str]:
    lines = list(csv.reader(io.StringIO(nd.methods.table(result, form="csv"))))
    assert lines[0] == ["item", "value"]
    assert len({k for k, _ in lines}) == len(lines), "a name stands twice"
    return dict(lines[1:])


def leaves(thing) -> list:
    if isinstance(thing, dict):
        return [leaf for v in thing.values() for leaf in leaves(v)]
    if isinstance(thing, list):
        return [leaf for v in thing for leaf in leaves(v)]
    if isinstance(thing, str) and thing.startswith("{"):
        return leaves(json.loads(thing))
    return [thing]


@pytest.mark.parametrize("name", RESULTS)
def test_the_table_leaves_nothing_out(name, results):
    table = cells(results[name])
    text = "\n".join(table.values())
    for leaf in leaves(nd.store.provenance(results[name])):
        if isinstance(leaf, str) and leaf.startswith(("RidgeDecoder(", "RidgeEncoder(", "ZScore(")):
            assert all(
                part in text
                for part in re.findall(r"=[\['\"]?([\w.]+)", leaf.replace("None", "none").lower())
            )
        elif leaf is not None and not isinstance(leaf, bool):
            assert str(leaf) in text, leaf
    for dim, n in results[name].sizes.items():
        assert table[f"size of {dim}"] == str(n)
    for attr in set(results[name].attrs) - {"provenance"}:
        assert any(k == f"attribute {attr}" or k.startswith(f"attribute {attr}.") for k in table)


def test_parameters_that_no_sentence_knows_are_in_the_table():
    odd = {
        "x": 3.25,
        "deep": {"y": [1, 2]},
        "nothing": None,
        "none": [],
        "text": "a(b",
        "name": "KFold(n_splits=3)",
    }
    table = cells(nd.store.stamp(features(), what="my.own", parameters=odd, seed=5))
    assert table["parameter x"] == "3.25"
    assert table["parameter deep.y"] == "1, 2"
    assert table["parameter nothing"] == "none"
    assert table["parameter none"] == "[]"
    assert table["parameter text"] == "a(b"
    assert table["parameter name.n_splits"] == "3"
    assert table["seed"] == "5"
    assert cells(decode())["parameter decoders.features.alpha"] == "10.0"
    assert cells(clusters())["parameter scores.parameter width"] == "0.05"


SPECIAL = r"50 % of a_b & $c #d {e} ~f ^g \h | *i* <j> `k` [l]"


def test_special_characters_stand_for_themselves():
    result = nd.store.stamp(features(), what=SPECIAL, parameters={SPECIAL: SPECIAL + "\nnext"})
    for form in ("markdown", "latex"):
        text = nd.methods.table(result, form=form)
        (line,) = [li for li in text.splitlines() if "next" in li]
        if form == "markdown":
            assert line.count("|") - line.count(r"\|") == 3
            assert re.search(r"a\\_b .* \\\*i\\\* \\<j\\> \\`k\\` \\\[l\\\]", line)
        else:
            assert (
                r"50 \% of a\_b \& \$c \#d \{e\} \textasciitilde{}f \textasciicircum{}g \textbackslash{}h"
                in line
            )
            assert len(re.findall(r"(?<!\\)&", line)) == 1
    assert r"50 \% of a\_b" in said(result, form="latex")
    assert r"a\_b" in said(result, form="markdown")
    assert SPECIAL in said(result)
    assert cells(result)[f"parameter {SPECIAL}"] == SPECIAL + "\nnext"


def test_latex_is_set(tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("no LaTeX here")
    result = nd.store.stamp(features(), what=SPECIAL, parameters={SPECIAL: SPECIAL})
    body = f"{said(result, form='latex')}\n{nd.methods.table(result, form='latex')}"
    packages = r"\usepackage[T1]{fontenc}\usepackage{longtable}"
    (tmp_path / "m.tex").write_text(
        rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}"
    )
    run = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "m.tex"]
    assert subprocess.run(run, cwd=tmp_path, capture_output=True).returncode == 0


# ---------------------------------------------------------------------------------------------------- files and errors
def test_a_file_tells_the_same(results, tmp_path):
    for i, (name, result) in enumerate(results.items()):
        path = tmp_path / f"{i}.nc"
        nd.save(result, path)
        assert said(path) == said(str(path)) == said(result), name
        assert nd.methods.table(path) == nd.methods.table(result), name


def test_command(results, tmp_path, capsys):
    path = tmp_path / "decode.nc"
    nd.save(results["decode"], path)
    assert cli.main(["methods", str(path)]) == 0
    out = capsys.readouterr().out
    assert out == f"{said(path, form='markdown')}\n\n{nd.methods.table(path)}"
    assert cli.main(["methods", str(path), "--form", "latex", "--only", "paragraph"]) == 0
    assert capsys.readouterr().out == f"{said(path, form='latex')}\n"
    assert cli.main(["methods", str(path), "--form", "csv", "--only", "table"]) == 0
    assert capsys.readouterr().out == nd.methods.table(path, form="csv")
    nd.save(features(), tmp_path / "bare.nc")
    assert cli.main(["methods", str(tmp_path / "bare.nc")]) == 2
    assert "no attribute 'provenance'" in capsys.readouterr().err


def test_errors_by_their_words(results):
    with pytest.raises(ValueError, match="has no attribute 'provenance'"):
        said(features())
    with pytest.raises(
        ValueError, match=r"its variables 'score' have: give one of them, such as result\['score'\]"
    ):
        said(xr.Dataset({"score": results["decode"]}))
    with pytest.raises(ValueError, match="is no JSON"):
        said(features().assign_attrs(provenance="{"))
    with pytest.raises(TypeError, match="not a ndarray"):
        said(np.zeros(3))
    with pytest.raises(ValueError, match="form"):
        said(results["decode"], form="word")
    with pytest.raises(ValueError, match="form"):
        nd.methods.table(results["decode"], form="text")
    with pytest.raises(FileNotFoundError):
        said("nowhere.nc")

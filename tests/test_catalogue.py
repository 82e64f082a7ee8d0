"""Every error and warning is known, is reached by a test, and says who, where, which values, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode import checks, inputs, report
from neurodecode.checkup import checkup
from neurodecode.datasets._electrodes import positions
from neurodecode.datasets.stimuli import captions
from neurodecode.solve.variogram import Variogram
from tests.catalogue import NOT, noted, sites

SITES = sites()
# So many places were reached by no test when this was written; there shall not be more.
UNREACHED = 12
# So many messages tell no value, since there is none to tell (something was left out, two settings exclude each other).
WITHOUT_VALUE = 66
# What a message helps with: an instruction, the names that are there, or what is needed.
HELP = re.compile(
    r";|:|\b(give|use|choose|must|needs?|install|rename|check|take|leave|name|drop|make|fit|expected|between|at least|"
    r"from|only|there (is|are)|has no|compute|bands=)\b",
    re.IGNORECASE,
)
# Words that another message completes: "FILE is damaged: it holds ...; get it again from ...".
PARTS = ("pickle.UnpicklingError", "EOFError", "damaged", "_damaged")
PART = re.compile(
    r"^(it |its |is |not four|a \{|line \{)|^\{[^ ]*\}$|\)\{\}$|\)$"
)  # the last two: hints are a value


def test_every_place_is_noted_and_no_more_are_unreached_than_before() -> None:
    found = noted()
    new = [f"{s.file}:{s.line} {s.kind}: {s.words}" for s in SITES if s.key not in found]
    assert not new, (
        "new or reworded errors: write a test that reaches them and note it with "
        "`python tests/catalogue.py note tests/test_YOURS.py`:\n" + "\n".join(new)
    )
    absent = [s for s in SITES if found[s.key].startswith(NOT)]
    assert len(absent) <= UNREACHED, "\n".join(f"{s.file}:{s.line} {s.words}" for s in absent)
    assert all(len(found[s.key]) > len(NOT) + 10 for s in absent), "say why they are not reached"


def test_no_bare_exceptions() -> None:
    bare = [
        s for s in SITES if s.kind in ("Exception", "BaseException", "AssertionError", "NotImplementedError")
    ]
    assert not bare


def test_every_message_helps() -> None:
    silent = [
        f"{s.file}:{s.line} {s.words}"
        for s in SITES
        if s.kind not in PARTS and not PART.search(s.words) and not HELP.search(s.words)
    ]
    assert not silent, "\n".join(silent)


def test_messages_tell_the_values() -> None:
    without = [s for s in SITES if not s.values and s.kind not in PARTS]
    assert len(without) <= WITHOUT_VALUE, "\n".join(f"{s.file}:{s.line} {s.words}" for s in without)
    short = [s for s in SITES if len(s.words.split()) < 5 and "{" not in s.words]
    assert len(short) <= 3, "\n".join(f"{s.file}:{s.line} {s.words}" for s in short)


# ------------------------------------------------------------------------------- places no other test reaches
def names(n: int) -> list[str]:
    return [f"s{i}" for i in range(n)]


def responses(n: int = 6, **labels: Any) -> xr.DataArray:
    values = np.random.default_rng(0).standard_normal((n, 3))
    return nd.brain.fmri(values, sample=names(n), stimulus=names(n), **labels)


def features(n: int = 6) -> xr.DataArray:
    return nd.brain.features(np.random.default_rng(1).standard_normal((n, 4)), stimulus=names(n))


def curves(subjects: int = 6, windows: int = 5) -> xr.DataArray:
    values = np.random.default_rng(2).standard_normal((subjects, windows))
    coords = {"subject": names(subjects), "window": np.arange(windows) / 10}
    return xr.DataArray(values, dims=("subject", "window"), coords=coords)


def by_hemisphere(*sides: str) -> xr.DataArray:
    n = len(sides)
    coords = {"voxel": names(n), "hemi": ("voxel", list(sides)), "vertex": ("voxel", np.arange(n))}
    return xr.DataArray(np.zeros(n), dims="voxel", coords=coords)


def fitted() -> Any:
    return nd.RidgeDecoder().fit(responses(), features())


def bootstrap(**settings: Any) -> Any:
    return nd.spatial.map_bootstrap(fitted(), responses(), features(), **settings)


def epochs(**labels: Any) -> xr.DataArray:
    values = np.random.default_rng(3).standard_normal((6, 2, 3))
    xyz = np.array([[0.0, -0.1, 0.05], [0.03, -0.09, 0.05]])
    return nd.brain.meeg(
        values, sample=names(6), stimulus=names(6), channel=["Oz", "O2"], time=[0.0, 0.1, 0.2], kind="eeg",
        xyz=xyz, **labels,
    )  # fmt: skip


def encoding(first: xr.DataArray, second: xr.DataArray, *, folds: Any = 2, moved: bool = False) -> Any:
    second = second.assign_coords(x=second["x"] + 0.01) if moved else second
    return nd.encoding.score({"1": first, "2": second}, features(), nd.RidgeEncoder(), folds=folds)


def placed(x: float) -> xr.DataArray:
    coords = {"voxel": names(3), "x": ("voxel", [x, x + 1, x + 2])}
    return xr.DataArray(np.zeros(3), dims="voxel", coords=coords)


def true_features() -> xr.DataArray:
    return features().rename(stimulus="sample").assign_coords(stimulus=("sample", names(6)))


TWICE = ("sample", ["s0", "s0", "s2", "s3", "s4", "s5"])
FACES = np.array([[0, 1, 2]])
CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "an attribute": (lambda: nd.decode, "has no attribute 'decode'; it has RidgeDecoder"),
    "a data set": (lambda: nd.datasets.nope, "has no attribute 'nope'; it has"),
    "one category": (lambda: nd.brain.one_hot(["cat", "cat"]), "two or more different names, got 1: 'cat'"),
    "ceilings of another size": (
        lambda: nd.ceilings.normalise(
            xr.DataArray(np.zeros(3), dims="voxel"), xr.DataArray(np.ones(2), dims="voxel")
        ),
        "scores have 3 along 'voxel' but ceilings 2; use the same voxels",
    ),
    "layers of two subjects": (
        lambda: nd.encoding.best_layer(curves(2).rename(window="layer")),
        "scores are of 2 subjects; a map is of one",
    ),
    "clusters' alpha": (
        lambda: nd.inference.clusters(curves(), chance=0.0, alpha=2.0),
        "alpha is a share between 0 and 1, .* got 2.0",
    ),
    "windows that fall": (
        lambda: nd.inference.clusters(curves().isel(window=slice(None, None, -1)), chance=0.0),
        "'window' of scores must rise, .* sort it with .sortby\\('window'\\)",
    ),
    "no subject": (
        lambda: nd.inference.shuffles({}),
        "there is no subject: give at least one labelled array",
    ),
    "two windows": (lambda: nd.inference.latency(curves(windows=2), chance=0.0), "at least 3 windows, got 2"),
    "latency's level": (
        lambda: nd.inference.latency(curves(), chance=0.0, level=95),
        "level is a share .* got 95",
    ),
    "latency's draws": (
        lambda: nd.inference.latency(curves(), chance=0.0, n_bootstrap=9),
        "at least 100, .* got 9",
    ),
    "latency's limits": (
        lambda: nd.inference.latency(curves(), chance=0.0, within=0.1),
        "within must be two times in s",
    ),
    "a mixed model's level": (
        lambda: nd.inference.mixed(curves(), fixed="window", level=95),
        "level is a share .* got 95",
    ),
    "no map": (lambda: nd.inference.common({}), "there is no map: give a mapping of subject to map"),
    "sides": (
        lambda: nd.inference.neighbours(by_hemisphere("L", "R")),
        "fsaverage5 has the sides 'left' and 'right'",
    ),
    "faces of one side": (
        lambda: nd.inference.neighbours(by_hemisphere("left", "right", "right"), faces=FACES),
        "values have 'hemi' 'left', 'right': give the faces of each",
    ),
    "faces of another side": (
        lambda: nd.inference.neighbours(by_hemisphere("left", "right", "right"), faces={"left": FACES}),
        "no faces of 'hemi' 'right'; there are those of 'left'",
    ),
    "faces that are none": (
        lambda: nd.inference.neighbours(by_hemisphere("left", "left"), faces={"left": np.zeros((3, 2), int)}),
        "faces are triangles \\(face, 3\\), got the shape \\(3, 2\\)",
    ),
    "batches": (
        lambda: nd.inference.null(lambda r, f: r, responses(), features(), batch=0),
        "batch is a number of permutations, at least 1; got 0",
    ),
    "p that is none": (lambda: nd.inference.fdr(curves()[:0] > 0), "p is empty, shape \\(0, 5\\)"),
    "fdr's alpha": (
        lambda: nd.inference.fdr(abs(curves()) / 9, alpha=5.0),
        "alpha is a share between 0 and 1, .* got 5.0",
    ),
    "one sample": (
        lambda: nd.RidgeDecoder().fit(responses(1), features(1)),
        "at least 2 samples to fit but got n_samples = 1",
    ),
    "no samples": (
        lambda: nd.RidgeDecoder().fit(responses()[:0], features()),
        "responses are empty: {'sample': 0",
    ),
    "half labelled": (
        lambda: nd.RidgeDecoder().fit(responses().values, features()),
        "one is labelled and one is not",
    ),
    "a device": (
        lambda: nd.RidgeDecoder(n_voxels=2, device="gpu").fit(responses(), features()),
        "device='gpu' is no name",
    ),
    "features of three axes": (
        lambda: nd.prepare.FeaturePCA().fit(features().expand_dims(time=2, axis=2)),
        "must be \\(stimulus, feature\\), but is .*; stack the other dimensions first",
    ),
    "z-scores by a voxel's label": (
        lambda: nd.prepare.ZScore(by="roi").fit(responses(roi=["V1", "V1", "LO"])),
        "by='roi' must name a coordinate of 'sample', but it lies on \\('voxel',\\)",
    ),
    "crossnobis of one run": (
        lambda: nd.rsa.rdm(responses(run=1), method="crossnobis", cv="run"),
        "crossnobis needs at least 2 values of 'run', found 1",
    ),
    "a matrix of other labels": (
        lambda: nd.rsa.to_rdms(
            xr.DataArray(np.zeros((2, 2)), dims=("a", "a_2"), coords={"a": [0, 1], "a_2": [1, 0]})
        ),
        "labels of 'a' and of 'a_2' differ",
    ),
    "a map's draws": (lambda: bootstrap(n_bootstrap=1), "n_bootstrap must be at least 2, got 1"),
    "a map's level": (lambda: bootstrap(level=95), "level is a share between 0 and 1, .* got 95"),
    "a filter that is not fitted again": (
        lambda: bootstrap(refit=False, kind="filter"),
        "only patterns vary, not kind='filter'",
    ),
    "three to draw from": (
        lambda: nd.spatial.map_bootstrap(fitted(), responses(2), features()),
        "a bootstrap over 'stimulus' needs at least 3 of them, got 2",
    ),
    "leave-one-out of copies": (
        lambda: nd.spatial.map_bootstrap(nd.RidgeDecoder([1.0, 10.0]), responses(), features()),
        "give the decoder folds=...",
    ),
    "a map's permutations": (
        lambda: nd.spatial.map_permutation(fitted(), responses(), features(), n_permutations=0),
        "n_permutations must be at least 1, got 0",
    ),
    "blocks of one": (
        lambda: nd.spatial.map_permutation(
            fitted(), responses(session=names(6)), features(), blocks="session"
        ),
        "no two of 6 stimuli were shown in the same values of 'session'",
    ),
    "smooth noise without places": (
        lambda: nd.spatial.region_profile(
            nd.spatial.weight_map(nd.RidgeDecoder().fit(responses(roi=["V1", "V1", "LO"]), features())),
            noise="smooth",
        ),
        "noise='smooth' needs the coordinates x, y, z of every voxel",
    ),
    "trials of somebody else": (
        lambda: nd.spatial.ceiling(
            {"1": responses()}, features(), nd.RidgeDecoder(), trials={"2": responses()}, folds=2
        ),
        "there are no trials of '1'; there are those of '2'",
    ),
    "a slice of two maps": (
        lambda: nd.plot.slice_map(xr.DataArray(np.zeros((2, 3)), dims=("layer", "voxel"))),
        "values must be \\(voxel\\) but has \\('layer', 'voxel'\\)",
    ),
    "subjects of other axes": (
        lambda: encoding(epochs(), responses()),
        r"'1' and '2' have other dimensions: .*'channel', 'time'\) and .*'voxel'\); call once for those of each kind",
    ),
    "subjects of other folds": (
        lambda: encoding(epochs(run=list("aaabbb")), epochs(run=list("aaaccc")), folds="run"),
        "'1' and '2' have other folds, 'run=a', 'run=b' and 'run=a', 'run=c'; give folds that all subjects have",
    ),
    "subjects of other places": (
        lambda: encoding(epochs(), epochs(), moved=True),
        r"'1' and '2' have equal labels at other places \('x' differs\): call once each, or average",
    ),
    "maps of other places": (
        lambda: nd.inference.common({"1": placed(0.0), "2": placed(5.0)}),
        r"the maps of '1' and '2' have 3 of 3 voxels of the same label in other places \('x'\); bring them to one",
    ),
    "values of 1e-200": (
        lambda: nd.RidgeDecoder().fit(responses() * 1e-200, features()),
        "responses are at most .*e-200 in size: their squares vanish in float64; change the units",
    ),
    "the noise of one sample": (
        lambda: nd.prepare.MVNN(condition=None).fit(epochs()[:1]),
        "MVNN needs at least 2 samples to know a covariance, but got 1",
    ),
    "conditions of channels": (
        lambda: nd.prepare.MVNN(condition="kind").fit(epochs()),
        r"the condition 'kind' of the training data of MVNN lies on \('channel',\), not on 'sample'; name a coord",
    ),
    "dissimilarities of two dimensions": (
        lambda: nd.rsa.rdm(responses().expand_dims(layer=2, axis=2)),
        r"one dimension of predictors beside 'sample' and 'time', got \('sample', 'voxel', 'layer'\); select one",
    ),
    "a stimulus of two rows": (
        lambda: nd.score.against(None, k=1)(true_features(), true_features().assign_coords(stimulus=TWICE)),
        "1 of 6 samples have other true features than the first sample .* stimulus 's0' has feature 3 = .* at sample 1",
    ),
    # settings of any function
    "a number": (lambda: checks.require_numbers(alpha="1"), "alpha must be one number, got '1' \\(str\\)"),
    "a whole number": (
        lambda: checks.require_counts(seed=0.5),
        "seed must be a whole number, got 0.5 \\(float\\)",
    ),
    "a negative number": (
        lambda: checks.require_counts(seed=-1),
        "seed must be a whole number from 0 to 4294967295, got -1",
    ),
    "a flag": (lambda: checks.require_flags(whiten="no"), "whiten must be True or False, got 'no'"),
    "a text": (lambda: checks.require_texts(over=3), "over must be text, got 3 \\(int\\)"),
    "names": (lambda: checks.names_in(3, what="by"), "by must be a name or several names, got 3"),
    "rows of two lengths": (
        lambda: checks.as_numbers([[1], [1, 2]], what="xyz", remedy="give (2, 3)"),
        "xyz has rows of unequal length: .*; give \\(2, 3\\)",
    ),
    "no numbers": (
        lambda: checks.as_numbers(["a"], what="time", remedy="give s"),
        "time must be real numbers, got dtype",
    ),
    "objects": (
        lambda: checks.as_numbers([None, "a"], what="time", remedy="give s"),
        "time must be real numbers, got \\[None, 'a'\\]; give s",
    ),
    # found by fuzzing
    "rows of two lengths in values": (
        lambda: nd.brain.features([[1], [1, 2]], stimulus=["a", "b"]),
        "features must have the axes .*rows are of unequal length",
    ),
    "bytes that are no text": (
        lambda: nd.brain.features(np.eye(2), stimulus=[b"\xff", b"a"]),
        "stimulus has bytes that are no UTF-8 text",
    ),
    "NaN in time": (
        lambda: nd.brain.meeg(
            np.zeros((1, 1, 2)), sample=["a"], stimulus=["a"], channel=["Oz"], time=[0, np.nan]
        ),
        "time has NaN or infinite values, 1 of 2",
    ),
    "names of two lengths": (lambda: nd.brain.one_hot([["a"], ["a", "b"]]), "names must be one name each"),
    "regions that are a number": (
        lambda: nd.brain.regions(responses(), 3),
        "regions must be names, .* got 3",
    ),
    "no samples to average": (
        lambda: nd.brain.average_repeats(responses()[:0]),
        "nothing to average: .* 0 samples",
    ),
    "a score of one argument": (
        lambda: nd.spatial.decode(
            responses(roi=["V1"] * 3), features(), nd.RidgeDecoder(), folds=2, score=len
        ),
        "the score 'len' does not take",
    ),
    "no features": (
        lambda: nd.spatial.decode(responses(roi=["V1"] * 3), features()[:, :0], nd.RidgeDecoder(), folds=2),
        "features 'features' are empty",
    ),
    "responses that are a number": (
        lambda: nd.spatial.decode(3, features(), nd.RidgeDecoder(), folds=2),
        "give labelled arrays by subject, not 3",
    ),
    "ids of two lengths": (
        lambda: nd.folds.select(responses(), [["s0"], ["s1", "s2"]], who="train"),
        "train must be one list",
    ),
    "a square of ids": (
        lambda: nd.folds.select(responses(), np.eye(2), who="train"),
        "train must be one list .* \\(2, 2\\)",
    ),
    "no subjects": (
        lambda: nd.inference.group(curves()[:0]),
        "scores are empty: .*; give at least one subject",
    ),
    "labels that are lists": (
        lambda: nd.labels.groups(np.array([[1], [1, 2]], dtype=object)),
        "one text or number each",
    ),
    "values of 1e300": (
        lambda: nd.RidgeDecoder().fit(responses() * 1e300, features()),
        "responses has 18 of 18 values beyond 1e\\+150 in size, the largest",
    ),
    "z-scores of nothing": (
        lambda: nd.prepare.ZScore().fit(responses()[:0]),
        "is empty: {'sample': 0, 'voxel': 3}",
    ),
    "dissimilarities of one stimulus": (
        lambda: nd.rsa.rdm(responses(1)),
        "at least 2 values of 'stimulus', found 's0'",
    ),
    "channels that are no electrodes": (
        lambda: positions(["Oz", "X99"]),
        "1 of 2 channels are no electrodes of the 10-05 system: 'X99'; the list of channels is damaged",
    ),
    "a channel twice": (
        lambda: positions(["Oz", "Pz", "Oz"]),
        "1 channels occur more than once: 'Oz'; name each one once",
    ),
    "places that are one": (
        lambda: Variogram(np.zeros((5, 3)), np.random.default_rng(0)),
        "places that lie apart; all 5 are one",
    ),
    "bands on a GPU": (
        lambda: nd.RidgeEncoder(bands="layer", device="cuda").fit(features(), responses()),
        "device='cuda' goes with one penalty for all features; .* Leave device out, or bands",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_in_words(case: str) -> None:
    call, words = CASES[case]
    with pytest.raises((ValueError, TypeError, AttributeError), match=words):
        call()


def test_where_a_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there.nc").touch()
    with pytest.raises(IsADirectoryError, match=r"is a folder; add a file name, e.g. .*result.nc"):
        inputs.require_target(tmp_path, overwrite=False)
    with pytest.raises(ValueError, match=r"must end in .nc, got '.csv'; e.g. .*a.nc"):
        inputs.require_target(tmp_path / "a.csv", overwrite=False)
    with pytest.raises(FileExistsError, match="exists already; give --overwrite"):
        inputs.require_target(tmp_path / "there.nc", overwrite=False)
    with pytest.raises(NotADirectoryError, match=r"there.nc is a file, not a folder"):
        inputs.require_target(tmp_path / "there.nc" / "a.nc", overwrite=False)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="is not writable by you; choose another"):
        inputs.require_target(tmp_path / "a.nc", overwrite=False)
    with pytest.raises(PermissionError, match="is not writable by you; choose another folder"):
        nd.save(responses(), tmp_path / "a.nc")


def test_what_files_lack(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no result \(\*.nc\) in .*; run an analysis first"):
        report.write(tmp_path, title="a run")
    with pytest.raises(
        FileNotFoundError, match="values is text, so the path of a NIfTI image, but there is no file"
    ):
        nd.brain.fmri(str(tmp_path / "bold.nii"), sample=["a"], stimulus=["a"])
    (tmp_path / "noise.nii").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(ValueError, match=r"noise.nii' is no NIfTI image, or damaged: "):
        checkup(tmp_path / "noise.nii")
    (tmp_path / "captions.csv").write_bytes(b"stimulus,caption\na,\xff\n")
    with pytest.raises(ValueError, match=r"captions.csv is no table of text in UTF-8, or damaged: "):
        captions(tmp_path / "captions.csv")


def test_a_coarse_permutation_is_called_so() -> None:
    with pytest.warns(
        UserWarning, match="4 stimuli in 1 groups have fewer than 49 different shuffles: p is coarse"
    ):
        nd.spatial.map_permutation(
            nd.RidgeDecoder(), responses(4), features(4), n_permutations=49, n_pilot=20
        )


def test_scores_of_blocks_of_other_sizes() -> None:
    pytest.importorskip("dask")
    predicted, true = true_features().chunk(), true_features().chunk()
    with pytest.raises(
        ValueError, match=r"predictions have .*'feature': 3} but true features .*'feature': 4}; give"
    ):
        nd.score.profile(predicted[:, :3], true)


def test_labels_that_are_lists() -> None:
    lists = np.empty(4, dtype=object)
    lists[:] = [["a"], ["b"], ["a"], ["b"]]
    array = xr.DataArray(
        np.eye(4), dims=("sample", "voxel"), coords={"stimulus": ("sample", lists), "run": ("sample", lists)}
    )
    space = nd.brain.features(np.eye(4), stimulus=list("abcd"))
    with pytest.raises(
        ValueError, match=r"4 of 4 labels 'stimulus' of responses are no single text or number"
    ):
        nd.labels.match(space, array)
    with pytest.raises(ValueError, match="labels 'run' of .* are no single text or number"):
        nd.prepare.ZScore(by="run").fit(array)
    things = np.array([SimpleNamespace() for _ in range(4)])
    with pytest.raises(ValueError, match="'run' of .* must be one text or number each"):
        nd.prepare.ZScore(by="run").fit(array.assign_coords(run=("sample", things)))


def test_maps_of_nothing_and_regions_of_bytes() -> None:
    space = nd.brain.features(np.eye(4), stimulus=list("abcd"))
    shown = nd.brain.fmri(np.eye(4), sample=list("abcd"), stimulus=list("abcd"))
    decoder = nd.RidgeDecoder().fit(shown, space)
    with pytest.raises(ValueError, match=r"responses are empty: .*give those of the fit"):
        nd.spatial.weight_map(decoder, kind="pattern", responses=shown[:0])
    odd = shown.assign_coords(roi=("voxel", np.array([b"\xff"] * 4, dtype=object)))
    with pytest.raises(ValueError, match="is no UTF-8 text; give text"):
        nd.brain.regions(odd)

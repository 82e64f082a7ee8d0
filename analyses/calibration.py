"""Do tests find what is not there as often as they say, do intervals hold the truth, and what is found when it is?

Small data sets are simulated again and again, with noise that is smooth in space and time and people who differ,
decoded and tested by the library's own calls:

rate       share of data sets without an effect in which a test at .05 finds one; wanted .03 to .07
coverage   share of data sets in which a 95 % interval holds the truth: a planted number, or the mean of all data sets'
           estimates; wanted .92 to .98
power      share of data sets with a planted effect in which it is found where it was planted

All with exact (Clopper-Pearson) limits. Finished pieces are kept beside the result, and a run that was stopped goes on.

    python analyses/calibration.py --out results            (30 minutes on one thread)
    python analyses/calibration.py --n 20 --out results     (a try)
"""

import argparse
import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from scipy import signal, stats
from scipy.sparse import csr_array, diags_array, eye_array
from tqdm import tqdm

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets.lab import cortex
from neurodecode.solve.intervals import reach_by_t

ALPHA, LEVEL = 0.05, 0.95
WANTED_RATE, WANTED_COVERAGE = (0.03, 0.07), (0.92, 0.98)
# Data sets for each point of a power curve, as a share of those for a rate.
POWER_SHARE = 0.125
# Data sets in one piece.
PIECE = 20
# Of smoothing along the mesh: about 9 mm in full width at half maximum.
SMOOTH_STEPS = 8
VALUES = ("estimate", "low", "high", "truth")


@dataclass
class Outcome:
    """What one data set gave: by name, whether something was found, and (estimate, low, high, truth or NaN)."""

    found: dict[str, bool] = field(default_factory=dict)
    limits: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)

    def add(self, name: str, estimate: float, low: float, high: float, truth: float = np.nan) -> None:
        """Add an estimate with its limits, and the truth where it is known."""
        self.limits[name] = (float(estimate), float(low), float(high), float(truth))


@dataclass(frozen=True)
class Test:
    """A test's rate under the null, from what an experiment found under a name; the level that it can attain."""

    experiment: str
    name: str
    label: str
    attainable: float = ALPHA
    # Measured beside the others to show why they are as they are.
    expected_to_fail: bool = False


@dataclass(frozen=True)
class Interval:
    """An interval's coverage, from the limits that an experiment gave under a name."""

    experiment: str
    name: str
    label: str
    # Whether the data sets have the largest effect of the experiment, or none.
    with_effect: bool = False
    expected_to_fail: bool = False


@dataclass(frozen=True)
class Curve:
    """How often what was planted is found there, against the size of the effect."""

    experiment: str
    name: str
    label: str


# ------------------------------------------------------------------------------------------- simulated data
def smooth_noise(rng: np.random.Generator, runs: int, trials: int, mixing: np.ndarray) -> np.ndarray:
    """Noise (sample, voxel): autoregressive from trial to trial within runs (.3), with shifts between runs, mixed."""
    white = rng.normal(size=(runs, trials, len(mixing)))
    noise = signal.lfilter([np.sqrt(1 - 0.3**2)], [1, -0.3], white, axis=1) + 0.5 * rng.normal(
        size=(runs, 1, len(mixing))
    )
    return noise.reshape(runs * trials, -1) @ mixing.T


@functools.cache
def line_mixing(n: int, reach: float) -> np.ndarray:
    """Square root of an exponential covariance of places on a line."""
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.linalg.cholesky(np.exp(-apart / reach))


def stimuli(rng: np.random.Generator, n: int, features: int) -> xr.DataArray:
    return nd.brain.features(rng.normal(size=(n, features)), stimulus=[f"image {i:03d}" for i in range(n)])


def gain(rng: np.random.Generator) -> float:
    """How strongly an effect shows in one person."""
    return float(max(0.0, rng.normal(1.0, 0.4)))


VOXELS = 12


def brain_of(rng: np.random.Generator, space: xr.DataArray, effects: Mapping[str, float]) -> xr.DataArray:
    """One person's fMRI: every stimulus once; regions of 12 neighbouring voxels carry the features.

    The first half of the four runs' trials is for training; the others, in the same order for everybody, for tests.
    """
    n = space.sizes["stimulus"]
    order = np.concatenate([rng.permutation(n // 2), np.arange(n // 2, n)])
    values = smooth_noise(rng, 4, n // 4, line_mixing(VOXELS * len(effects), 3.0))
    own = gain(rng)
    for i, effect in enumerate(effects.values()):
        weights = rng.normal(size=(space.sizes["feature"], VOXELS)) / np.sqrt(space.sizes["feature"])
        values[:, i * VOXELS : (i + 1) * VOXELS] += effect * own * space.values[order] @ weights
    return nd.brain.fmri(
        values,
        sample=[f"trial {i}" for i in range(n)],
        stimulus=space["stimulus"].values[order],
        roi=np.repeat(list(effects), VOXELS),
        run=np.repeat(np.arange(4), n // 4),
        split=halves(n),
    )


def halves(n: int) -> np.ndarray:
    return np.repeat(["train", "test"], n // 2)


# ---------------------------------------------------------------------------------------------- experiments
def regions(rng: np.random.Generator, effect: float) -> Outcome:
    """Eight people, 2 regions, tested on the second half; V1 carries the effect."""
    out, space = Outcome(), stimuli(rng, 40, 4)
    people = {f"s{i}": brain_of(rng, space, {"V1": effect, "LO": 0.0}) for i in range(8)}
    scores = nd.spatial.decode(people, space, nd.RidgeDecoder(alpha=30.0), score="profile")
    found = nd.inference.above_chance(scores)["significant"]
    out.found["any"] = bool(found.any())
    out.found["planted"] = bool(found.sel(region="V1").any())
    group = nd.inference.group(scores.sel(region="V1").isel(layer=0, drop=True))
    mean, reach = float(group["mean"]), float(group["sem"]) * reach_by_t(LEVEL, 7)
    out.add("group", mean, mean - reach, mean + reach)
    return out


def one_person(rng: np.random.Generator, effect: float) -> Outcome:
    """One person, 2 regions: stimuli change places within runs, 99 times."""
    out, space = Outcome(), stimuli(rng, 40, 4)
    person = brain_of(rng, space, {"V1": effect, "LO": 0.0})
    settings = {"decoder": nd.RidgeDecoder(alpha=30.0), "score": "profile"}
    analysis = functools.partial(nd.spatial.decode, **settings)
    null = nd.inference.null(
        analysis, person, space, n=99, blocks="run", batch=99, seed=int(rng.integers(2**31))
    )
    found = nd.inference.permutation(analysis(person, space), null, correction="max")
    out.found["any"] = bool(found["significant"].any())
    out.found["one"] = bool(found["p"].values.flat[0] <= ALPHA)
    out.found["planted"] = bool(found["significant"].sel(region="V1").any())
    return out


def compared(rng: np.random.Generator, effect: float) -> Outcome:
    """Eight people, the same 24 test stimuli: both regions carry features, V1 by the effect more."""
    out, space, names = Outcome(), stimuli(rng, 48, 6), ["V1", "LO"]
    people = {f"s{i}": brain_of(rng, space, {"V1": 0.5 + effect, "LO": 0.5}) for i in range(8)}
    trials = np.stack([[of_trials(person, space, name) for name in names] for person in people.values()])
    scores = xr.DataArray(
        trials,
        dims=("subject", "region", "stimulus"),
        coords={"subject": list(people), "region": names, "stimulus": space["stimulus"].values[24:]},
        attrs={"units": "r"},
    )
    means = scores.mean("stimulus", keep_attrs=True)
    pair = nd.inference.compare(means.sel(region="V1"), means.sel(region="LO"), n_bootstrap=2000)
    out.found["t"], out.found["flips"] = bool(pair["p"] <= ALPHA), bool(pair["p_flip"] <= ALPHA)
    if effect:
        return out
    out.add("t", pair["difference"], pair["low"], pair["high"])
    out.add("bootstrap", pair["difference"], pair["boot_low"], pair["boot_high"])
    model = nd.inference.mixed(scores, fixed="region", reference="LO").isel(term=1)
    out.found["mixed"] = bool(model["p"] <= ALPHA)
    out.add("mixed", model["estimate"], model["low"], model["high"])
    # What other df give: the same fit, against another distribution.
    for name, other in (("mixed, df = 7", stats.t(7)), ("mixed, z", stats.norm())):
        out.found[name] = bool(2 * other.sf(abs(model["z"])) <= ALPHA)
        reach = other.ppf(0.5 + LEVEL / 2) * model["se"]
        out.add(name, model["estimate"], model["estimate"] - reach, model["estimate"] + reach)
    return out


def of_trials(person: xr.DataArray, space: xr.DataArray, region: str) -> np.ndarray:
    """Pattern correlation of every test stimulus, decoded from one region."""
    inside = person[:, person["roi"].values == region]
    train, test = (inside[inside["split"].values == part] for part in ("train", "test"))
    decoder = nd.RidgeDecoder(alpha=30.0).fit(train, space)
    return nd.score.pattern(decoder.predict(test), nd.labels.match(space, test)).values


CHANNELS, TIMES = 6, np.arange(-0.05, 0.205, 0.01)


def epochs_of(rng: np.random.Generator, space: xr.DataArray, effect: float) -> xr.DataArray:
    """One person's EEG: noise with the autocorrelation .9 at 100 Hz, mixed over channels; the effect is at 140 ms."""
    n = space.sizes["stimulus"]
    burn = 40
    white = rng.normal(size=(n, CHANNELS, len(TIMES) + burn))
    noise = signal.lfilter([np.sqrt(1 - 0.9**2)], [1, -0.9], white, axis=-1)[..., burn:]
    noise = np.einsum("ij,njt->nit", line_mixing(CHANNELS, 2.0), noise)
    course = np.exp(-0.5 * ((TIMES - 0.14) / 0.02) ** 2)
    weights = rng.normal(size=(space.sizes["feature"], CHANNELS)) / np.sqrt(space.sizes["feature"])
    planted = (space.values @ weights)[:, :, None] * course
    return nd.brain.meeg(
        noise + effect * gain(rng) * planted,
        sample=[f"trial {i}" for i in range(n)],
        stimulus=space["stimulus"].values,
        channel=[f"C{i}" for i in range(CHANNELS)],
        time=TIMES,
        split=halves(n),
    )


def times(rng: np.random.Generator, effect: float) -> Outcome:
    """Eight people, 50 ms windows in steps of 20 ms; tests of windows and of clusters, also of time x time."""
    out, space = Outcome(), stimuli(rng, 40, 3)
    people = {f"s{i}": epochs_of(rng, space, effect) for i in range(8)}
    settings = {"width": 0.05, "step": 0.02, "score": "profile"}
    curve = nd.temporal.sweep(people, space, nd.RidgeDecoder(alpha=30.0), **settings)
    planted = np.abs(curve["window"].values - 0.14) < 0.03
    for name, found in (
        ("window", nd.inference.above_chance(curve)["significant"]),
        ("cluster", nd.inference.clusters(curve, chance=0.0)["significant"]),
    ):
        out.found[name] = bool(found.any())
        out.found[f"{name}, planted"] = bool(found.isel(window=planted).any())
    if not effect:
        square = nd.temporal.generalise(people, space, nd.RidgeDecoder(alpha=30.0), **settings)
        out.found["square"] = bool(nd.inference.clusters(square, chance=0.0)["significant"].any())
    return out


@functools.cache
def patch() -> tuple[cortex.Cortex, csr_array]:
    """Left visual cortex of fsaverage5 with approximate regions, and one step of smoothing along its mesh."""
    template = cortex.approximate_regions()
    left = template.take(template.hemi == "left")
    kept = cortex.visual_patch(left, surround=0.3)
    points, faces = cortex.surfaces("left")["white_matter"]
    graph = cortex.mesh_graph(points, faces)[kept.vertex][:, kept.vertex]
    graph = csr_array((np.ones_like(graph.data), graph.indices, graph.indptr), shape=graph.shape)
    near = diags_array(1 / np.maximum(graph.sum(axis=1), 1)) @ graph
    return kept, csr_array(0.5 * (eye_array(len(kept)) + near))


def smoothed(rng: np.random.Generator, n: int, steps: int) -> np.ndarray:
    """Noise (n, voxel) of variance 1 on average, after so many steps of smoothing along the mesh."""
    where, step = patch()
    values = rng.normal(size=(len(where), n))
    for _ in range(steps):
        values = step @ values
    return values.T / spread(steps)


@functools.cache
def spread(steps: int) -> float:
    where, step = patch()
    values = np.random.default_rng(0).normal(size=(len(where), 200))
    for _ in range(steps):
        values = step @ values
    return float(values.std())


def map_of(rng: np.random.Generator, effect: float, *, steps: int) -> xr.DataArray:
    """One person's map: patterns of a ridge of 4 features from 48 trials of noise, smooth along the cortex."""
    (where, _), space = patch(), stimuli(rng, 48, 4)
    values = smoothed(rng, 48, steps)
    lower = np.isin(where.roi, nd.brain.GROUPS["LVC"])
    weights = rng.normal(size=(4, len(where))) * lower
    values = values + effect * gain(rng) * space.values @ weights
    responses = nd.brain.fmri(values, sample=[f"trial {i}" for i in range(48)], stimulus=space["stimulus"].values,
                              roi=where.roi, hemi=where.hemi, vertex=where.vertex, xyz=where.xyz)  # fmt: skip
    fitted = nd.RidgeDecoder(alpha=100.0).fit(responses, space)
    return nd.spatial.weight_map(fitted, kind="pattern", responses=responses)


def field_of(rng: np.random.Generator, *, steps: int) -> xr.DataArray:
    """Map of values about 1, smooth along the cortex but for a fifth of their variance."""
    where, _ = patch()
    values = np.sqrt(0.8) * smoothed(rng, 1, steps)[0] + np.sqrt(0.2) * rng.normal(size=len(where))
    coords = {c: ("voxel", where.xyz[:, i]) for i, c in enumerate("xyz")}
    return xr.DataArray(
        1 + values, dims="voxel", coords={"voxel": where.vertex, "roi": ("voxel", where.roi), **coords}
    )


def profiles(rng: np.random.Generator, effect: float) -> Outcome:
    """Five people's maps, smooth along the cortex, and one of white noise; LVC carries the effect."""
    out, names = Outcome(), ["LVC", "HVC"]
    maps = {f"s{i}": map_of(rng, effect, steps=SMOOTH_STEPS) for i in range(5)}
    every = nd.spatial.region_profile(maps, names)
    found = nd.inference.above_chance(every["above"])["significant"]
    out.found["subjects"], out.found["planted"] = bool(found.any()), bool(found.sel(region="LVC").any())
    out.found["five maps"] = bool((every["p"].sel(region="LVC") <= ALPHA).item())
    of_one_map(out, "smooth", maps["s0"], rng, noise="smooth")
    if not effect:
        of_one_map(out, "exchanged", maps["s0"], rng, noise="white")
        white = map_of(rng, 0.0, steps=0)
        of_one_map(out, "white map", white, rng, noise="smooth")
        of_one_map(out, "exchanged, white map", white, rng, noise="white")
        for steps, name in ((SMOOTH_STEPS, "field"), (0, "white field")):
            planted = field_of(rng, steps=steps)
            for noise in ("smooth", "white"):
                settings = {"noise": noise, "n_permutations": 1, "n_bootstrap": 199}
                lower = nd.spatial.region_profile(planted, ["LVC"], **settings).isel(region=0, layer=0)
                out.add(f"{name}, {noise}", lower["mean"], lower["low"], lower["high"], 1.0)
    return out


def of_one_map(out: Outcome, name: str, one: xr.DataArray, rng: np.random.Generator, *, noise: str) -> None:
    settings = {"noise": noise, "n_permutations": 99, "seed": int(rng.integers(2**31))}
    found = nd.spatial.region_profile(one, ["LVC", "HVC"], n_bootstrap=199, **settings).isel(layer=0)
    for region in found["region"].values:
        out.found[f"{name}, {region}"] = bool(found["p"].sel(region=region) <= ALPHA)
    lower = found.sel(region="LVC")
    out.add(name, lower["mean"], lower["low"], lower["high"])
    out.found[f"contrast, {name}"] = bool(nd.spatial.contrast(one, **settings)["p"].item() <= ALPHA)


def identified(rng: np.random.Generator, effect: float) -> Outcome:
    """Which of 20 was it: one and the same person in all data sets, and four new people."""
    out, always = Outcome(), np.random.default_rng(0)
    space = stimuli(always, 60, 6)
    weights = always.normal(size=(6, VOXELS)) / np.sqrt(6)
    train, test = slice(0, 40), slice(40, 60)

    def predicted(w: np.ndarray, g: float) -> xr.DataArray:
        values = smooth_noise(rng, 4, 15, line_mixing(VOXELS, 3.0)) + g * space.values @ w
        names = space["stimulus"].values
        responses = nd.brain.fmri(values, sample=names, stimulus=names)
        return nd.RidgeDecoder(alpha=30.0).fit(responses[train], space).predict(responses[test])

    candidates = space[test]
    one = predicted(weights, effect)
    for kind in ("wilson", "bootstrap"):
        found = nd.retrieval.identify(
            one, candidates, k=1, interval=kind, n_bootstrap=1000, seed=int(rng.integers(2**31))
        )
        found = found.isel(subject=0, k=0)
        out.add(kind, found["accuracy"], found["low"], found["high"])
    people = {
        f"s{i}": predicted(rng.normal(size=weights.shape) / np.sqrt(6), effect * gain(rng)) for i in range(4)
    }
    found = nd.retrieval.identify(people, candidates, k=1).isel(k=0)
    out.add("mean", found["mean"], found["mean_low"], found["mean_high"])
    accuracy = found["accuracy"].values
    drawn = np.random.default_rng(0).choice(accuracy, size=(2000, 4)).mean(axis=1)
    out.add("percentiles", accuracy.mean(), *np.quantile(drawn, [0.025, 0.975]))
    return out


def ceilings(rng: np.random.Generator, effect: float) -> Outcome:
    """One voxel, 60 stimuli of 3 trials; ``effect`` is the SD of its signal, that of a trial's noise is 1."""
    out = Outcome()
    values = effect * np.repeat(rng.normal(size=60), 3) + rng.normal(size=180)
    names = np.repeat([f"image {i}" for i in range(60)], 3)
    responses = nd.brain.fmri(values[:, None], sample=np.arange(180), stimulus=names)
    truth = np.sqrt(effect**2 / (effect**2 + 1 / 3))
    for name, estimate in (("anova", nd.ceilings.ncsnr), ("halves", nd.ceilings.split_half)):
        found = estimate(responses, seed=int(rng.integers(2**31))).isel(voxel=0)
        out.add(name, found["ceiling"], found["low"], found["high"], truth)
    return out


Experiment = Callable[[np.random.Generator, float], Outcome]
# Each with the effects of its power curve, the first of which is none, or with one effect.
EXPERIMENTS: dict[str, tuple[Experiment, tuple[float, ...]]] = {
    "regions": (regions, (0.0, 0.1, 0.2, 0.4)),
    "one person": (one_person, (0.0, 0.2, 0.4, 0.8)),
    "compared": (compared, (0.0, 0.05, 0.1, 0.2)),
    "times": (times, (0.0, 0.1, 0.2, 0.4)),
    "profiles": (profiles, (0.0, 0.05, 0.1, 0.2)),
    "identified": (identified, (1.0,)),
    "ceilings": (ceilings, (0.4,)),
}
TESTS = [
    Test("regions", "any", "regions, 8 subjects (FDR over 2)"),
    Test("one person", "one", "region, one subject, permutation"),
    Test("one person", "any", "regions, one subject, permutation (largest of 2)"),
    Test("times", "window", "windows, 8 subjects (FDR)"),
    Test("times", "cluster", "clusters in time, 8 subjects", 12 / 256),
    Test("times", "square", "clusters, time x time, 8 subjects", 12 / 256),
    Test("compared", "t", "two regions compared, t"),
    Test("compared", "flips", "two regions compared, all flips", 12 / 256),
    Test("compared", "mixed", "mixed model"),
    Test("compared", "mixed, df = 7", "mixed model, df = 7", expected_to_fail=True),
    Test("compared", "mixed, z", "mixed model, Wald's z", expected_to_fail=True),
    Test("profiles", "smooth, LVC", "profile of a smooth map, LVC"),
    Test("profiles", "smooth, HVC", "profile of a smooth map, HVC"),
    Test("profiles", "white map, LVC", "profile of a white map, LVC"),
    Test("profiles", "contrast, smooth", "contrast in a smooth map"),
    Test("profiles", "five maps", "profile of 5 smooth maps, LVC"),
    Test("profiles", "subjects", "profiles over 5 subjects (FDR)"),
    Test("profiles", "exchanged, white map, LVC", "profile, white map, voxels exchanged"),
    Test("profiles", "exchanged, LVC", "profile, smooth map, voxels exchanged", expected_to_fail=True),
    Test("profiles", "contrast, exchanged", "contrast, smooth map, voxels exchanged", expected_to_fail=True),
]
INTERVALS = [
    Interval("regions", "group", "mean of 8 subjects, t"),
    Interval("compared", "t", "difference of 8 subjects, t"),
    Interval("compared", "bootstrap", "difference of 8 subjects, bootstrap"),
    Interval("compared", "mixed", "mixed model"),
    Interval("compared", "mixed, df = 7", "mixed model, df = 7", expected_to_fail=True),
    Interval("compared", "mixed, z", "mixed model, Wald's z", expected_to_fail=True),
    Interval("identified", "wilson", "identification, one subject, Wilson", with_effect=True),
    Interval("identified", "bootstrap", "identification, one subject, bootstrap", with_effect=True),
    Interval("identified", "mean", "identification, 4 subjects, t", with_effect=True),
    Interval(
        "identified",
        "percentiles",
        "the same by percentiles (not offered)",
        with_effect=True,
        expected_to_fail=True,
    ),
    Interval("ceilings", "anova", "noise ceiling, analysis of variance", with_effect=True),
    Interval("ceilings", "halves", "noise ceiling, halves", with_effect=True),
    Interval("profiles", "field, smooth", "region's mean, smooth map"),
    Interval("profiles", "white field, smooth", "region's mean, white map"),
    Interval("profiles", "white field, white", "the same, white map, bootstrap over voxels"),
    Interval(
        "profiles", "field, white", "the same, smooth map, bootstrap over voxels", expected_to_fail=True
    ),
    Interval("profiles", "smooth", "the same over new recordings", expected_to_fail=True),
]
CURVES = [
    Curve("regions", "planted", "region"),
    Curve("one person", "planted", "region, one subject"),
    Curve("times", "window, planted", "window"),
    Curve("times", "cluster, planted", "cluster"),
    Curve("compared", "flips", "two regions compared"),
    Curve("profiles", "smooth, LVC", "profile, one map"),
    Curve("profiles", "planted", "profile, 5 subjects"),
]


# ------------------------------------------------------------------------------------------------ the work
def measured(experiment: Experiment, effect: float, seeds: range, base: list[int]) -> xr.Dataset:
    """Outcomes of data sets: found (set, test) and limits (set, interval, value)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # few subjects are the point here
        outcomes = [experiment(np.random.default_rng([*base, i]), effect) for i in seeds]
    tests, intervals = list(outcomes[0].found), list(outcomes[0].limits)
    found = np.array([[o.found[t] for t in tests] for o in outcomes], dtype=bool).reshape(
        len(outcomes), len(tests)
    )
    limits = np.array([[o.limits[i] for i in intervals] for o in outcomes]).reshape(
        len(outcomes), len(intervals), 4
    )
    return xr.Dataset(
        {"found": (("set", "test"), found), "limits": (("set", "interval", "value"), limits)},
        coords={
            "set": list(seeds),
            "test": np.array(tests, dtype=str),
            "interval": np.array(intervals, dtype=str),
            "value": list(VALUES),
        },
    )


def all_outcomes(args: argparse.Namespace) -> dict[tuple[str, float], xr.Dataset]:
    """Outcomes by experiment and effect, from finished pieces where there are such."""
    jobs = []
    for name, (_, effects) in EXPERIMENTS.items():
        if args.only and name not in args.only:
            continue
        for level, effect in enumerate(effects):
            full = effect == effects[0] or (effect == effects[-1] and _covered(name))
            n = args.n if full else max(1, round(args.n * POWER_SHARE))
            jobs += [
                (name, effect, [args.seed, _number(name), level], range(i, min(i + PIECE, n)))
                for i in range(0, n, PIECE)
            ]
    # Rates and coverage first, so that a run that is stopped has them.
    jobs.sort(key=lambda job: job[1] != EXPERIMENTS[job[0]][1][0])
    key = {
        "what": "calibration",
        "seed": args.seed,
        "version": nd.__version__,
        "code": inputs.code_of(__file__),
    }
    pieces = nd.store.Pieces.named(args.out, "calibration_pieces", key=key)
    parts: dict[tuple[str, float], list[xr.Dataset]] = {}
    for name, effect, base, seeds in tqdm(jobs, desc="calibration", disable=None):
        piece = f"{name}, {effect:g}, {seeds[0]} to {seeds[-1]}"
        if piece not in pieces:
            if args.so_far:
                continue
            pieces.save(piece, measured(EXPERIMENTS[name][0], effect, seeds, base))
        parts.setdefault((name, effect), []).append(pieces.load(piece))
    return {k: xr.concat(v, dim="set", combine_attrs="override") for k, v in parts.items()}


def _covered(name: str) -> bool:
    return any(i.experiment == name and i.with_effect for i in INTERVALS)


def _number(name: str) -> int:
    """Of an experiment, the same whatever others there are."""
    return sum(map(ord, name))


# --------------------------------------------------------------------------------------------- book-keeping
def proportion(hits: np.ndarray) -> tuple[float, float, float, int]:
    """Share, its exact 95 % limits (Clopper & Pearson 1934), and the number."""
    k, n = int(np.sum(hits)), len(hits)
    found = stats.binomtest(k, n).proportion_ci(LEVEL, method="exact")
    return k / n, found.low, found.high, n


def held(limits: xr.DataArray) -> np.ndarray:
    """In which data sets limits (set, value) hold the truth; where it is unknown, the mean of the estimates."""
    estimate, low, high, truth = (limits.sel(value=v).values for v in VALUES)
    truth = np.where(np.isnan(truth), estimate.mean(), truth)
    return np.asarray((low <= truth) & (truth <= high))


def summary(outcomes: Mapping[tuple[str, float], xr.Dataset]) -> xr.Dataset:
    """Rates, coverage and power with their limits, of the tests and intervals that were run."""
    tests = [t for t in TESTS if (t.experiment, 0.0) in outcomes]
    intervals = [i for i in INTERVALS if (i.experiment, _effect(i)) in outcomes]
    curves = [c for c in CURVES if all((c.experiment, e) in outcomes for e in EXPERIMENTS[c.experiment][1])]
    rates = [proportion(outcomes[t.experiment, 0.0]["found"].sel(test=t.name).values) for t in tests]
    cover = []
    for i in intervals:
        cover.append(proportion(held(outcomes[i.experiment, _effect(i)]["limits"].sel(interval=i.name))))
    power, effects, levels = [], [], max((len(EXPERIMENTS[c.experiment][1]) for c in curves), default=0)
    for c in curves:
        sizes = EXPERIMENTS[c.experiment][1]
        effects.append(sizes)
        power.append([proportion(outcomes[c.experiment, e]["found"].sel(test=c.name).values) for e in sizes])
    result = xr.Dataset(
        coords={
            "test": [t.label for t in tests],
            "interval": [i.label for i in intervals],
            "curve": [c.label for c in curves],
        }
    )
    for name, dim, values in (("rate", "test", rates), ("coverage", "interval", cover)):
        for part, column in zip(("", "_low", "_high", "_n"), np.array(values).reshape(-1, 4).T, strict=True):
            result[name + part] = (dim, column)
    for part, column in zip(
        ("", "_low", "_high", "_n"),
        np.moveaxis(np.array(power).reshape(len(curves), levels, 4), -1, 0),
        strict=True,
    ):
        result["power" + part] = (("curve", "level"), column)
    result["effect"] = (("curve", "level"), np.array(effects).reshape(len(curves), levels))
    result["attainable"] = ("test", [t.attainable for t in tests])
    result["test_fails"] = ("test", [t.expected_to_fail for t in tests])
    result["interval_fails"] = ("interval", [i.expected_to_fail for i in intervals])
    return result


def _effect(interval: Interval) -> float:
    return EXPERIMENTS[interval.experiment][1][-1] if interval.with_effect else 0.0


def report(result: xr.Dataset) -> None:
    for name, dim, (least, most) in (
        ("rate", "test", WANTED_RATE),
        ("coverage", "interval", WANTED_COVERAGE),
    ):
        print(f"{name}, wanted {least} to {most}:")
        for label in result[dim].values:
            one = result.sel({dim: label})
            value, low, high, n = (float(one[name + part]) for part in ("", "_low", "_high", "_n"))
            fails = "known to fail" if bool(one[f"{dim}_fails"]) else "OUTSIDE"
            words = "" if least <= value <= most else fails
            print(f"  {label:<52} {value:.3f} ({low:.3f} to {high:.3f}, n = {n:.0f})  {words}")
    print("power (effect: share):")
    for label in result["curve"].values:
        one = result.sel(curve=label)
        points = zip(one["effect"].values, one["power"].values, strict=True)
        print(f"  {label:<25}", "  ".join(f"{e:g}: {p:.2f}" for e, p in points))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=400, help="data sets without an effect, for each test")
    parser.add_argument("--only", nargs="+", choices=list(EXPERIMENTS), help="some of the experiments")
    parser.add_argument(
        "--so-far", action="store_true", help="no new data sets: what was finished by other runs"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = inputs.parsed(parser)
    if args.n < 1:
        parser.error(f"--n must be at least 1, got {args.n}")
    result = summary(all_outcomes(args))
    report(result)
    result.attrs |= {"simulated": True, "n": args.n, "alpha": ALPHA, "level": LEVEL,
                     "wanted_rate": WANTED_RATE, "wanted_coverage": WANTED_COVERAGE}  # fmt: skip
    stamped = nd.store.stamp(
        result, what="calibration", parameters={"n": args.n, "alpha": ALPHA, "level": LEVEL}, seed=args.seed
    )
    nd.save(stamped, args.out / "calibration.nc", overwrite=True)
    print(f"wrote {args.out / 'calibration.nc'}")


if __name__ == "__main__":
    main()

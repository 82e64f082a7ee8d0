"""Are effects found where they were planted into real noise, and nowhere else, as often as the test says?

The noise is one person's resting state on fsaverage5 (652 volumes of 1.4 s, from brainspace's wheel), alike in
neighbours and from volume to volume (r .95; after 7 s still .46). Random sequences of 100 stimuli, one each 8.4 s in
four runs, are laid over it. In four of eleven visual regions, drawn anew each time, vertices answer to a mixture of a
stimulus' three features, which is alike in neighbours too, with a haemodynamic response whose SD over trials is
``effect`` times the SD of the vertex' noise. Every region is decoded from the means of two volumes around the
response's peak, leaving one run out; features are permuted over trials within runs 99 times, p = (b + 1) / 100.

hit, alarm       sequences with p <= .05 in a region that carries, or does not carry, an effect
any_alarm        sequences without any effect in which some region has p <= .05, corrected by the largest score
blocked designs  five trials in a row show one stimulus: alarms when whole blocks are permuted, and when single trials
                 are, as if neighbouring trials had independent noise

Finished pieces are kept beside the result, and a run that was stopped goes on.

    python analyses/real_noise.py --out results            (10 minutes on one thread; needs the extra "rest")
    python analyses/real_noise.py --n 20 --out results
"""

import argparse
from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy import signal, stats
from scipy.spatial.distance import cdist
from tqdm import tqdm

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets import resting

ALPHA, LEVEL = 0.05, 0.95
EFFECTS = (0.0, 0.05, 0.1, 0.2, 0.3)
# Sequences with an effect, as a share of those without.
SHARE = 0.25
CARRIERS = 4
RUNS, TRIALS, BLOCK = 4, 25, 5
# Volumes from trial to trial, and those after onset whose mean is a trial's response.
SPACING, PEAK = 6, (3, 4)
FEATURES, PERMUTATIONS = 3, 99
DECODER_ALPHA = 300.0
# Sequences in one piece.
PIECE = 5
# mm, the SD of the kernel over which vertices' mixtures are alike: as far as the noise is.
ALIKE = 8.0

Order = Callable[[np.random.Generator], np.ndarray]


# ------------------------------------------------------------------------------------------------ sequences
def onsets() -> np.ndarray:
    """Volume at which each trial starts, (run, trial): a trial's time is left free between runs."""
    return (np.arange(RUNS)[:, None] * (TRIALS + 1) + np.arange(TRIALS)) * SPACING


def response() -> np.ndarray:
    """Haemodynamic response at every volume from onset, peak 1: two gamma densities (Glover 1999's shape)."""
    t = np.arange(0, 25, resting.TR)
    shape = stats.gamma.pdf(t, 6) - stats.gamma.pdf(t, 16) / 6
    return shape / shape.max()


def planted(
    noise: np.ndarray, xyz: np.ndarray, shown: np.ndarray, effect: float, rng: np.random.Generator
) -> np.ndarray:
    """Responses (volume, vertex) to trials' features (trial, feature), in units of each vertex' SD times ``effect``."""
    near = np.exp(-0.5 * (cdist(xyz, xyz) / ALIKE) ** 2)
    weights = rng.normal(size=(shown.shape[1], noise.shape[1])) @ near
    weights /= np.linalg.norm(weights, axis=0)
    events = np.zeros((len(noise), shown.shape[1]))
    events[onsets().ravel()] = shown
    evoked = signal.fftconvolve(events, response()[:, None], axes=0)[: len(noise)]
    return effect * noise.std(axis=0) * (evoked @ weights)


def trials_of(volumes: np.ndarray, like: xr.DataArray) -> xr.DataArray:
    """Trials (sample, voxel): means of the volumes around the peak."""
    at = onsets().ravel()
    values = np.mean([volumes[at + lag] for lag in PEAK], axis=0)
    names = [f"trial {i:03d}" for i in range(at.size)]
    return nd.brain.fmri(
        values,
        sample=names,
        stimulus=names,
        roi=like["roi"].values,
        hemi=like["hemi"].values,
        vertex=like["vertex"].values,
        run=np.repeat(np.arange(RUNS), TRIALS),
    )


def single_trials(rng: np.random.Generator) -> np.ndarray:
    """Trials in random order within each run."""
    return np.concatenate([run * TRIALS + rng.permutation(TRIALS) for run in range(RUNS)])


def whole_blocks(rng: np.random.Generator) -> np.ndarray:
    """Blocks of trials in random order over the whole recording."""
    blocks = rng.permutation(RUNS * TRIALS // BLOCK)
    return (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()


# -------------------------------------------------------------------------------------------------- one test
def tested(trials: xr.DataArray, shown: np.ndarray, order: Order, rng: np.random.Generator) -> np.ndarray:
    """P and p corrected for all regions by the largest score, (2, region).

    Permuted features are decoded as further features of one space: a ridge fits each feature on its own, and what
    depends on the responses alone is computed once.
    """
    orders = [np.arange(len(shown)), *(order(rng) for _ in range(PERMUTATIONS))]
    space = nd.brain.features(
        np.concatenate([shown[o] for o in orders], axis=1), stimulus=trials["stimulus"].values
    )
    scores = nd.spatial.decode(
        trials, space, nd.RidgeDecoder(alpha=DECODER_ALPHA), folds="run", score="profile", by="feature"
    )
    means = scores.mean(["fold", "subject"]).transpose("region", "feature").values
    means = means.reshape(len(means), PERMUTATIONS + 1, -1).mean(axis=2)
    own = means[:, :1]
    p = (means >= own - 1e-9).mean(axis=1)
    scaled = (means - means.mean(axis=1, keepdims=True)) / means.std(axis=1, keepdims=True)
    largest = scaled.max(axis=0)
    return np.stack([p, (largest >= scaled[:, :1] - 1e-9).mean(axis=1)])


def sequence(noise: xr.DataArray, effect: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which regions carry an effect, and the p of all, of one random sequence."""
    names = nd.brain.regions(noise).region.values
    carries = np.isin(np.arange(names.size), rng.choice(names.size, CARRIERS, replace=False)) & (effect > 0)
    shown = rng.normal(size=(RUNS * TRIALS, FEATURES))
    volumes = noise.values.astype(np.float64)
    inside = np.isin(noise["roi"].values, names[carries])
    if inside.any():
        xyz = np.stack([noise[c].values[inside] for c in "xyz"], axis=1)
        volumes[:, inside] += planted(volumes[:, inside], xyz, shown, effect, rng)
    return carries, tested(trials_of(volumes, noise), shown, single_trials, rng)


def blocked(noise: xr.DataArray, rng: np.random.Generator) -> np.ndarray:
    """P of all regions without an effect in a blocked design, (2 orders, region): whole blocks, and single trials."""
    shown = np.repeat(rng.normal(size=(RUNS * TRIALS // BLOCK, FEATURES)), BLOCK, axis=0)
    trials = trials_of(noise.values.astype(np.float64), noise)
    return np.stack([tested(trials, shown, order, rng)[0] for order in (whole_blocks, single_trials)])


# ------------------------------------------------------------------------------------------------ all of it
def run(noise: xr.DataArray, n: int, seed: int, pieces: nd.store.Pieces) -> xr.Dataset:
    """Hits and alarms by region and effect, and alarms of blocked designs; finished pieces are kept."""
    few = max(1, round(n * SHARE))
    jobs = [
        (effect, range(k, min(k + PIECE, m)))
        for effect in EFFECTS
        for m in [few if effect else n]
        for k in range(0, m, PIECE)
    ]
    parts: dict[float, list[xr.Dataset]] = {}
    for effect, numbers in tqdm(jobs, desc="real noise", disable=None):
        name = f"effect {effect:g}, {numbers[0]} to {numbers[-1]}"
        if name not in pieces:
            pieces.save(name, sequences(noise, effect, numbers, seed))
        parts.setdefault(effect, []).append(pieces.load(name))
    for k in tqdm(range(few), desc="blocked designs", disable=None):
        if f"blocked {k}" not in pieces:
            p = blocked(noise, np.random.default_rng([seed, len(EFFECTS), k]))
            pieces.save(f"blocked {k}", xr.DataArray(p, dims=("order", "region")))
    every = {effect: xr.concat(found, dim="sequence") for effect, found in parts.items()}
    blocks = np.stack([pieces.load(f"blocked {k}").values for k in range(few)])
    return counted(every, blocks, nd.brain.regions(noise).region.values)


def sequences(noise: xr.DataArray, effect: float, numbers: range, seed: int) -> xr.Dataset:
    i = EFFECTS.index(effect)
    found = [sequence(noise, effect, np.random.default_rng([seed, i, k])) for k in numbers]
    carries, p = (np.stack(v) for v in zip(*found, strict=True))
    dims = ("sequence", "region")
    return xr.Dataset({"carries": (dims, carries), "p": (dims, p[:, 0]), "p_max": (dims, p[:, 1])})


def counted(every: dict[float, xr.Dataset], blocks: np.ndarray, names: np.ndarray) -> xr.Dataset:
    """Numbers of hits and alarms (effect, region) and of those that were possible, from p of all sequences."""
    rows: dict[str, list[np.ndarray]] = {k: [] for k in ("hit", "hit_n", "alarm", "alarm_n")}
    for one in every.values():
        carries, found = one["carries"].values, one["p"].values <= ALPHA
        for k, v in zip(rows, (carries & found, carries, ~carries & found, ~carries), strict=True):
            rows[k].append(v.sum(axis=0))
    data = {k: (("effect", "region"), np.array(v), {"units": "sequences"}) for k, v in rows.items()}
    result = xr.Dataset(
        data, coords={"effect": list(every), "region": names, "order": ["whole blocks", "single trials"]}
    )
    result["any_alarm"] = ("sequence", (every[0.0]["p_max"].values <= ALPHA).any(axis=1))
    result["blocked"] = (("design", "order", "region"), blocks <= ALPHA)
    return result


def limits(k: float, n: float) -> str:
    if not n:
        return "none"
    ends = stats.binomtest(int(k), int(n)).proportion_ci(LEVEL, method="exact")
    return f"{k / n:.3f} ({ends.low:.3f} to {ends.high:.3f}, n = {n:.0f})"


def report(result: xr.Dataset) -> None:
    print("p <= .05, all regions together (sequences share the noise; limits take tests as independent):")
    total = result[["hit", "hit_n", "alarm", "alarm_n"]].sum("region")
    for effect in result["effect"].values:
        one = {k: float(v) for k, v in total.sel(effect=effect).data_vars.items()}
        hits, alarms = limits(one["hit"], one["hit_n"]), limits(one["alarm"], one["alarm_n"])
        print(f"  effect {effect:g}: hits {hits}, alarms {alarms}")
    some = result["any_alarm"].values
    print(
        f"any of {result.sizes['region']} regions, corrected by the largest score: {limits(some.sum(), some.size)}"
    )
    for order in result["order"].values:
        found = result["blocked"].sel(order=order).values
        print(f"blocked design, {order} permuted: alarms {limits(found.sum(), found.size)}")
    rates = (result["hit"] / result["hit_n"]).to_pandas().round(2)
    print("hits by region:", rates, "alarms by region, all effects:", sep="\n")
    print((result["alarm"].sum("effect") / result["alarm_n"].sum("effect")).to_pandas().round(3))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=400, help="sequences without an effect")
    parser.add_argument("--seed", type=int, default=0)
    args = inputs.parsed(parser)
    if args.n < 1:
        parser.error(f"--n must be at least 1, got {args.n}")
    volumes = resting.load()
    noise = volumes[:, volumes["roi"].values != ""]
    key = {"what": "real noise", "seed": args.seed, "data": nd.store.data_hash(noise)}
    result = run(noise, args.n, args.seed, nd.store.Pieces.named(args.out, "real_noise_pieces", key=key))
    report(result)
    parameters = {
        "n": args.n,
        "effects": EFFECTS,
        "runs": RUNS,
        "trials": TRIALS,
        "permutations": PERMUTATIONS,
    }
    stamped = nd.store.stamp(result, what="real_noise", parameters=parameters, seed=args.seed, data=noise)
    nd.save(
        stamped.assign_attrs(planted="simulated", noise="recorded"),
        args.out / "real_noise.nc",
        overwrite=True,
    )
    print(f"wrote {args.out / 'real_noise.nc'}")


if __name__ == "__main__":
    main()

"""Are effects found where they were planted into real noise, and nowhere else, as often as the test says?

The noise is one person's resting state on fsaverage5 (652 volumes of 1.4 s, from brainspace's wheel), alike in
neighbours and from volume to volume (r .95; after 7 s still .46). Random sequences of 100 stimuli, one each 8.4 s in
four runs, are laid over it. In four of eleven visual regions, drawn anew each time, vertices answer to a mixture of a
stimulus' three features, which is alike in neighbours too, with a haemodynamic response whose SD over trials is
``effect`` times the SD of the vertex' noise. Every region is decoded from the means of two volumes around the
response's peak, leaving one run out; features are permuted over trials within runs 99 times, p = (b + 1) / 100.
Sequence k has the same stimuli, regions and permutations whatever the effect, so that effects are compared within it.

hit, alarm       sequences with p <= .05 in a region that carries, or does not carry, an effect; limits over sequences,
                 whose regions share noise and stimuli
same_elsewhere   do regions without an effect have the p that they had without any? A region is decoded on its own, so
                 that effects elsewhere must not be seen in it
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
from neurodecode.solve.intervals import reach_by_t

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


def sequence(noise: xr.DataArray, effect: float, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which regions carry the effect in sequence k, and the p of all."""
    names = nd.brain.regions(noise).region.values
    chosen, stimuli, weights, orders = np.random.default_rng([seed, k]).spawn(4)
    carries = np.isin(np.arange(names.size), chosen.choice(names.size, CARRIERS, replace=False))
    shown = stimuli.normal(size=(RUNS * TRIALS, FEATURES))
    volumes = noise.values.astype(np.float64)
    inside = np.isin(noise["roi"].values, names[carries])
    if effect > 0:
        xyz = np.stack([noise[c].values[inside] for c in "xyz"], axis=1)
        volumes[:, inside] += planted(volumes[:, inside], xyz, shown, effect, weights)
    return carries, tested(trials_of(volumes, noise), shown, single_trials, orders)


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
            p = blocked(noise, np.random.default_rng([seed, k, 1]))
            pieces.save(f"blocked {k}", xr.DataArray(p, dims=("order", "region")))
    every = {effect: xr.concat(found, dim="sequence") for effect, found in parts.items()}
    blocks = np.stack([pieces.load(f"blocked {k}").values for k in range(few)])
    return counted(every, blocks, nd.brain.regions(noise).region.values)


def sequences(noise: xr.DataArray, effect: float, numbers: range, seed: int) -> xr.Dataset:
    carries, p = (np.stack(v) for v in zip(*(sequence(noise, effect, k, seed) for k in numbers), strict=True))
    dims = ("sequence", "region")
    return xr.Dataset({"carries": (dims, carries), "p": (dims, p[:, 0]), "p_max": (dims, p[:, 1])})


def counted(every: dict[float, xr.Dataset], blocks: np.ndarray, names: np.ndarray) -> xr.Dataset:
    """Hits and alarms (effect, region), how many were possible, and their shares with limits over sequences."""
    without = every[0.0]["p"].values
    rows: dict[str, list] = {}
    rates: dict[str, list] = {"hit_rate": [], "alarm_rate": []}
    same = []
    for effect, one in every.items():
        found, carries = one["p"].values <= ALPHA, one["carries"].values & (effect > 0)
        for name, possible in (("hit", carries), ("alarm", ~carries)):
            rows.setdefault(name, []).append((found & possible).sum(axis=0))
            rows.setdefault(f"{name}_n", []).append(possible.sum(axis=0))
            rates[f"{name}_rate"].append(share(found & possible, possible))
        same.append((one["p"].values == without[: len(found)])[~carries].mean())
    counts = {k: (("effect", "region"), v, {"units": "sequences"}) for k, v in rows.items()}
    wrong = [share(blocks[:, i] <= ALPHA, np.ones_like(blocks[:, i], bool)) for i in range(blocks.shape[1])]
    return xr.Dataset(
        counts
        | {k: (("effect", "limit"), v) for k, v in rates.items()}
        | {
            "same_elsewhere": ("effect", same),
            "any_alarm": ("sequence", (every[0.0]["p_max"].values <= ALPHA).any(axis=1)),
            "blocked_rate": (("order", "limit"), wrong),
        },
        coords={
            "effect": list(every),
            "region": names,
            "order": ["whole blocks", "single trials"],
            "limit": ["share", "low", "high"],
        },
        attrs={"sequences_with_effect": min(len(one["p"]) for one in every.values()), "designs": len(blocks)},
    )


def share(found: np.ndarray, possible: np.ndarray) -> tuple[float, float, float]:
    """Share of what was possible (sequence, region), with Student's limits over sequences; NaN where there are none.

    Where all or none were found, sequences do not vary: exact limits (Clopper & Pearson 1934) with a sequence as one.
    """
    n = possible.sum(axis=1)
    if not n.any():
        return np.nan, np.nan, np.nan
    value = found.sum() / n.sum()
    if value in (0, 1):
        some = int((n > 0).sum())
        ends = stats.binomtest(int(value) * some, some).proportion_ci(LEVEL, method="exact")
        return value, ends.low, ends.high
    apart = (found.sum(axis=1) - value * n) / n.mean()
    half = reach_by_t(LEVEL, max(len(n) - 1, 1)) * stats.sem(apart) if len(n) > 1 else np.nan
    return value, max(value - half, 0.0), min(value + half, 1.0)


def report(result: xr.Dataset) -> None:
    print("p <= .05, all regions together (95 % limits over sequences):")
    for effect in result["effect"].values:
        one = result.sel(effect=effect)
        words = [
            f"{k}s {spelled(one[f'{k}_rate'])}, n = {int(one[f'{k}_n'].sum())}" for k in ("hit", "alarm")
        ]
        print(
            f"  effect {effect:g}:", "; ".join(words), f"; as without it {float(one['same_elsewhere']):.3f}"
        )
    some = result["any_alarm"].values
    ends = stats.binomtest(int(some.sum()), some.size).proportion_ci(LEVEL, method="exact")
    print(
        f"any of {result.sizes['region']} regions, corrected by the largest score: "
        f"{some.mean():.3f} ({ends.low:.3f} to {ends.high:.3f}), n = {some.size}"
    )
    for order in result["order"].values:
        print(f"blocked design, {order} permuted: alarms {spelled(result['blocked_rate'].sel(order=order))}")
    rates = (result["hit"] / result["hit_n"]).to_pandas().round(2)
    print("hits by region:", rates, "alarms by region without any effect:", sep="\n")
    print((result["alarm"] / result["alarm_n"]).sel(effect=0).to_pandas().round(3))


def spelled(rate: xr.DataArray) -> str:
    value, low, high = rate.values
    return f"{value:.3f} ({low:.3f} to {high:.3f})" if np.isfinite(value) else "none"


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
    parameters = {
        "effects": EFFECTS,
        "runs": RUNS,
        "trials": TRIALS,
        "permutations": PERMUTATIONS,
        "sequences": "the same with every effect",
    }
    made_by = {"version": nd.__version__, "code": inputs.code_of(__file__)}
    key = {"what": "real noise", "seed": args.seed, "data": nd.store.data_hash(noise), **made_by}
    result = run(noise, args.n, args.seed, nd.store.Pieces.named(args.out, "real_noise_pieces", key=key))
    report(result)
    parameters |= {"n": args.n}
    stamped = nd.store.stamp(result, what="real_noise", parameters=parameters, seed=args.seed, data=noise)
    nd.save(
        stamped.assign_attrs(planted="simulated", noise="recorded"),
        args.out / "real_noise.nc",
        overwrite=True,
    )
    print(f"wrote {args.out / 'real_noise.nc'}")


if __name__ == "__main__":
    main()

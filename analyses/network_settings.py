"""How should each network be trained? Losses and noise compared on training trials alone, before anything is claimed.

Of the training trials of a few subjects a fifth of the concepts is taken out; every network is trained on the rest in
every way, and judged by how it tells the trials that were taken out apart. Test trials are never looked at.

    python analyses/network_settings.py --modality eeg --subjects 2 --out results
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from tqdm import tqdm

import neurodecode as nd
from neurodecode import inputs, store
from neurodecode.labels import match

LOSSES = ("mse", "cosine", "infonce")
# SDs of noise that is added to training batches; in a linear model it is a ridge penalty (Bishop 1995).
NOISES = (0.0, 2.0)
SPACE = "final"
ALPHAS = tuple(np.logspace(1, 6, 11))
HELD_OUT = 0.2


def main() -> None:
    args = arguments()
    data = inputs.read(args)
    parts = {subject: parted(responses, args.seed) for subject, responses in data.responses.items()}
    features = data.features[SPACE]
    ridge = [scores(nd.RidgeDecoder(alpha=ALPHAS), *part, features) for part in parts.values()]
    print(f"pairwise and top-5 of ridge, for comparison: {np.round(np.mean(ridge, 0), 3)}", flush=True)
    found, decoders = [], {}
    for model in args.models:
        ways = [(loss, noise) for loss in LOSSES for noise in NOISES]
        for loss, noise in tqdm(ways, desc=model):
            decoder = decoders[f"{model}, {loss}, noise {noise:g}"] = decoder_of(model, loss, noise, args)
            judged = [one(s, decoder, *parts[s], features, args.out) for s in parts]
            print(f"{model:>16} {loss:>8} noise {noise:g}: {np.round(np.mean(judged, 0), 3)}", flush=True)
            found.append(judged)
    shape = (len(args.models), len(LOSSES), len(NOISES), len(parts), 2)
    coords = {
        "model": list(args.models),
        "loss": list(LOSSES),
        "noise": list(NOISES),
        "subject": list(parts),
        "score": ["pairwise", "top5"],
    }
    result = xr.Dataset({"accuracy": (tuple(coords), np.reshape(found, shape))}, coords)
    best = result["accuracy"].mean("subject").sel(score="pairwise").stack(way=("loss", "noise")).idxmax("way")
    print(best.to_series().to_string())
    parameters = {"decoders": decoders, "space": SPACE, "held_out": HELD_OUT}
    hashes = {subject: store.data_hash(*part, features) for subject, part in parts.items()}
    result = store.stamp(
        result.assign_attrs(network_size=args.network_size),
        what="network_settings",
        parameters=parameters,
        seed=args.seed,
        data=hashes,
    )
    inputs.write(result, data, args.out / f"network_settings_{args.modality}.nc")


def parted(responses: xr.DataArray, seed: int) -> tuple[xr.DataArray, xr.DataArray]:
    """Training trials of most concepts, and of those that are taken out."""
    train = responses.isel(sample=responses.split.values == "train")
    moved = nd.folds.hold_out(train, HELD_OUT, by="concept", seed=seed)
    held = moved.split.values == "validation"
    return train.isel(sample=~held), train.isel(sample=held)


def decoder_of(model: str, loss: str, noise: float, args: argparse.Namespace) -> nd.networks.NetworkDecoder:
    settings = {"size": args.network_size, "epochs": args.epochs, "seed": args.seed, "device": args.device}
    way = {"loss": loss, "augment": {"noise": noise} if noise else None}
    return nd.networks.few_trials(model).set_params(**settings, **way)


def one(
    subject: str,
    decoder: nd.networks.NetworkDecoder,
    learned: xr.DataArray,
    held: xr.DataArray,
    features: xr.DataArray,
    out: Path,
) -> tuple[float, float]:
    """Return the scores of one subject's trials that were taken out; they are kept in a file."""
    key = {
        "decoder": decoder,
        "recipe": nd.networks.RECIPE,
        "data": store.data_hash(learned, held, features),
    }
    pieces = store.Pieces.named(out / "network_settings_pieces", f"{subject}_{decoder.architecture}", key=key)
    if "scores" not in pieces:
        pieces.save("scores", xr.DataArray(list(scores(decoder, learned, held, features)), dims="score"))
    return tuple(pieces.load("scores").values.tolist())


def scores(decoder, learned: xr.DataArray, held: xr.DataArray, features: xr.DataArray) -> tuple[float, float]:
    """Pairwise and top-5 identification."""
    predicted = decoder.fit(learned, features).predict(held)
    top = nd.score.top_k(predicted, features.sel(stimulus=np.unique(held["stimulus"].values)), k=5)
    return float(nd.score.pairwise(predicted, match(features, predicted)).mean()), float(top.mean())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    inputs.add_arguments(parser)
    parser.set_defaults(modality="eeg")
    models = nd.networks.ARCHITECTURES
    parser.add_argument("--models", nargs="+", choices=models, default=models, metavar="MODEL")
    parser.add_argument("--network-size", choices=nd.networks.SIZES, default="small")
    parser.add_argument("--epochs", type=int, default=60, help="at most")
    parser.add_argument("--device", default="cpu")
    return inputs.parsed(parser)


if __name__ == "__main__":
    main()

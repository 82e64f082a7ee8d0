"""Which model finds what was seen in EEG and MEG? Zero-shot identification by ridge and by networks.

Every model is trained on the training trials of a subject alone, and names each test picture, whose concept it never
met, among all of them by the image features that it predicts.

    python analyses/networks.py --modality eeg --out results
    python analyses/networks.py --modality meg --network-size full --device cuda --out results
    python analyses/networks.py --shuffle --subjects 4 --out results     # all must fall to chance
    python analyses/networks.py --loss infonce --models ridge nice atm --out results     # as these were published

Loss and noise of each network were chosen by analyses/network_settings.py, which sees no test trial.
"""

import argparse

import numpy as np
import xarray as xr
from tqdm import tqdm

import neurodecode as nd
from neurodecode import inputs, store
from neurodecode.labels import groups
from neurodecode.solve.intervals import reach_by_t

ALPHAS = tuple(np.logspace(1, 6, 11))
MODELS = ("ridge", *nd.networks.ARCHITECTURES)
# The space in which pictures are told apart: CLIP's output.
SPACE = "final"
KEEP = (1, 5)


def main() -> None:
    args = arguments()
    data = inputs.read(args)
    candidates = data.features[SPACE].sel(stimulus=tested(data))
    found = []
    for model in args.models:
        predictions = {
            subject: predicted(model, subject, data, args)
            for subject in tqdm(data.responses, desc=model, unit="subject")
        }
        found.append(nd.retrieval.identify(predictions, candidates, k=KEEP, seed=args.seed))
        print(f"{model}: top-k {found[-1]['mean'].to_series().round(3).to_dict()}", flush=True)
    models = xr.Variable("model", list(args.models))
    result = with_gains(xr.concat(found, models, combine_attrs="override"))
    report(result)
    said = {"modality": args.modality, "network_size": args.network_size, "shuffled": args.shuffle}
    said["loss"] = args.loss or "chosen"
    parameters = {
        "decoders": {model: decoder_of(model, args) for model in args.models},
        "space": SPACE,
        "shuffle": args.shuffle,
        "scores": {model: store.provenance(one) for model, one in zip(args.models, found, strict=True)},
    }
    hashes = {s: store.data_hash(r, data.features[SPACE]) for s, r in data.responses.items()}
    result = store.stamp(
        result.assign_attrs(said), what="networks", parameters=parameters, seed=args.seed, data=hashes
    )
    inputs.write(result, data, args.out / f"{stem(args)}.nc")


def stem(args: argparse.Namespace) -> str:
    """Name of the result file without its ending: what is not as usual is in it."""
    size = "" if args.network_size == "small" else f"_{args.network_size}"
    return f"networks_{args.modality}{size}{f'_{args.loss}' if args.loss else ''}{'_shuffled' * args.shuffle}"


def with_gains(result: xr.Dataset) -> xr.Dataset:
    """Add what each model gains over ridge (model, k), with 95 % t limits of the paired difference over subjects.

    NaN where ridge is not among the models.
    """
    ridge = result["accuracy"].reindex(model=["ridge"]).isel(model=0, drop=True)
    gain = result["accuracy"] - ridge
    n, mean = gain.sizes["subject"], gain.mean("subject", skipna=False)
    if n > 1:
        reach = reach_by_t(0.95, n - 1) * gain.std("subject", ddof=1, skipna=False) / np.sqrt(n)
    else:
        reach = np.nan * mean
    return result.assign(gain=mean, gain_low=mean - reach, gain_high=mean + reach)


def report(result: xr.Dataset) -> None:
    for k in result["k"].values:
        here = result.sel(k=k)
        print(
            f"top-{k}, chance {float(here['chance']):.3f}, n = {here.sizes['subject']} subjects; gain over ridge"
        )
        for model in here["model"].values:
            own = {name: float(here[name].sel(model=model)) for name in ("mean", "mean_low", "mean_high")}
            gain = [float(here[name].sel(model=model)) for name in ("gain", "gain_low", "gain_high")]
            print(
                f"  {model:<17} {own['mean']:.3f} ({own['mean_low']:.3f} to {own['mean_high']:.3f})"
                f"   {gain[0]:+.3f} ({gain[1]:+.3f} to {gain[2]:+.3f})"
            )


def predicted(model: str, subject: str, data: inputs.Inputs, args: argparse.Namespace) -> xr.DataArray:
    """Features (sample, feature) of one subject's test trials; kept in a file, so that a long run goes on."""
    responses, features = data.responses[subject], data.features[SPACE]
    key = {
        "model": decoder_of(model, args),
        "recipe": nd.networks.RECIPE,
        "responses": store.data_hash(responses),
        "features": store.data_hash(features),
        "shuffle": args.shuffle,
        "seed": args.seed,
    }
    pieces = store.Pieces.named(args.out / "networks_pieces", f"{stem(args)}_{subject}_{model}", key=key)
    if "predictions" not in pieces:
        train = responses.isel(sample=responses.split.values == "train")
        if args.shuffle:
            train = shuffled(train, args.seed)
        test = responses.isel(sample=responses.split.values == "test")
        pieces.save("predictions", decoder_of(model, args).fit(train, features).predict(test))
    return pieces.load("predictions")


def shuffled(train: xr.DataArray, seed: int) -> xr.DataArray:
    """Exchange stimuli: repeats of one stay together, so that validation can still take out whole concepts."""
    number, first = groups(train.stimulus.values)
    names = train.stimulus.values[np.random.default_rng(seed).permutation(first)]
    return train.assign_coords(stimulus=("sample", names[number]))


def decoder_of(model: str, args: argparse.Namespace):
    if model == "ridge":
        return nd.RidgeDecoder(alpha=ALPHAS)
    network = nd.networks.few_trials(model).set_params(
        size=args.network_size, epochs=args.epochs, seed=args.seed, device=args.device
    )
    return network.set_params(loss=args.loss) if args.loss else network


def tested(data: inputs.Inputs) -> np.ndarray:
    """Test stimuli, which all subjects share."""
    shown = [set(r.stimulus.values[r.split.values == "test"].tolist()) for r in data.responses.values()]
    if any(one != shown[0] for one in shown):
        raise ValueError("the subjects were tested with different stimuli; analyse them one by one")
    return np.array(sorted(shown[0]))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    inputs.add_arguments(parser)
    parser.set_defaults(modality="eeg")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, metavar="MODEL")
    parser.add_argument("--network-size", choices=nd.networks.SIZES, default="small")
    parser.add_argument(
        "--loss", choices=nd.networks.LOSSES, help="of all networks, instead of the chosen ones"
    )
    parser.add_argument("--epochs", type=int, default=60, help="at most")
    parser.add_argument(
        "--shuffle", action="store_true", help="train on shuffled labels: all must fall to chance"
    )
    parser.add_argument("--device", default="cpu")
    return inputs.parsed(parser)


if __name__ == "__main__":
    main()

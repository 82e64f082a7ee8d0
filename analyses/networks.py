"""Which model finds what was seen in EEG and MEG? Zero-shot identification by ridge and by networks.

Every model is trained on the training trials of a subject alone, and names each test picture, whose concept it never
met, among all of them by the image features that it predicts.

    python analyses/networks.py --modality eeg --out results
    python analyses/networks.py --modality meg --subjects 4 --network-size full --device cuda --out results
    python analyses/networks.py --shuffle --models ridge nice --out results
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from tqdm import tqdm

import neurodecode as nd
from neurodecode import inputs, store

ALPHAS = tuple(np.logspace(1, 6, 11))
# How each is trained; contrastive losses and the mixture are those that were published for NICE, ATM and Benchetrit.
LOSSES = {
    "temporal_spatial": "mse",
    "nice": "infonce",
    "eegnet": "mse",
    "atm": "infonce",
    "benchetrit": {"infonce": 0.75, "mse": 0.25},
    "mlp": "mse",
    "transformer": "mse",
}
MODELS = ("ridge", *LOSSES)
# The space in which pictures are told apart: CLIP's output.
SPACE = "final"
KEEP = (1, 5)


def main() -> None:
    args = arguments()
    data = inputs.read(args)
    results = {}
    for model in args.models:
        predictions = {
            subject: predicted(model, subject, data, args)
            for subject in tqdm(data.responses, desc=model, unit="subject")
        }
        candidates = data.features[SPACE].sel(stimulus=tested(data))
        results[model] = nd.retrieval.identify(predictions, candidates, k=KEEP, seed=args.seed)
        mean = results[model]["mean"].to_series().round(3).to_dict()
        print(
            f"{model}: top-k {mean}, chance {results[model]['chance'].values.round(3).tolist()}", flush=True
        )
    result = xr.concat(results.values(), xr.Variable("model", list(results)), combine_attrs="override")
    said = {"modality": args.modality, "network_size": args.network_size, "shuffled": args.shuffle}
    name = f"networks_{args.modality}{'_shuffled' if args.shuffle else ''}.nc"
    inputs.write(result.assign_attrs(said), data, args.out / name)


def predicted(model: str, subject: str, data: inputs.Inputs, args: argparse.Namespace) -> xr.DataArray:
    """Features (sample, feature) of one subject's test trials; kept in a file, so that a long run goes on."""
    responses, features = data.responses[subject], data.features[SPACE]
    key = {
        "model": repr(decoder_of(model, args)),
        "responses": store.data_hash(responses),
        "features": store.data_hash(features),
        "shuffle": args.shuffle,
        "seed": args.seed,
    }
    (args.out / "networks_pieces").mkdir(exist_ok=True)
    name = f"{args.modality}_{subject}_{model}_{args.network_size}{'_shuffled' if args.shuffle else ''}"
    pieces = store.Pieces(args.out / "networks_pieces" / name, key=key)
    if "predictions" not in pieces:
        train = responses.isel(sample=responses.split.values == "train")
        if args.shuffle:
            order = np.random.default_rng(args.seed).permutation(train.sizes["sample"])
            train = train.assign_coords(stimulus=("sample", train.stimulus.values[order]))
        test = responses.isel(sample=responses.split.values == "test")
        pieces.save("predictions", decoder_of(model, args).fit(train, features).predict(test))
    return pieces.load("predictions")


def decoder_of(model: str, args: argparse.Namespace):
    if model == "ridge":
        return nd.RidgeDecoder(alpha=ALPHAS)
    return nd.networks.NetworkDecoder(
        model,
        size=args.network_size,
        loss=LOSSES[model],
        epochs=args.epochs,
        batch=args.batch,
        patience=args.patience,
        learning_rate=args.learning_rate,
        seed=args.seed,
        device=args.device,
    )


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
    parser.add_argument("--network-size", choices=("small", "full"), default="small", help="of the networks")
    parser.add_argument("--epochs", type=int, default=200, help="at most")
    parser.add_argument("--batch", type=int, default=64, help="trials")
    parser.add_argument("--patience", type=int, default=30, help="epochs without a smaller validation loss")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument(
        "--shuffle", action="store_true", help="train on shuffled labels: all must fall to chance"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the result file")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    main()

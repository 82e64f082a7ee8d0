"""Linear or not? Feature decoders of one kind or another, and the pictures made of them (Tables 4 and 7, on the lab).

For every system, a modality and a kind of decoder, all feature spaces of a plan are decoded by decoders of that kind
alone; a generator makes pictures of what was decoded (stage 1) and pulls them to the decoded structure (stage 2).

    python analyses/fitters.py --table 7 --out results     # fMRI, EEG, MEG; linear, MLP, Transformer
    python analyses/fitters.py --table 4 --out results     # NICE, EEGNet, ATM on EEG; ATM, Benchetrit et al. on MEG
    python analyses/fitters.py --systems eeg:ridge eeg:eegnet --n 10 --out results

figures/fitters.py makes the tables of it; ``make table7`` does both. Every subject of every system is kept in a file of
its own, from which an interrupted run goes on.
"""

import argparse
from typing import Any

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs, pipeline, reconstruction, store, vision

RIDGE = "ridge"
TABLES = {
    "7": [f"{m}:{d}" for m in ("fmri", "eeg", "meg") for d in (RIDGE, "mlp", "transformer")],
    "4": ["eeg:ridge", "eeg:nice", "eeg:eegnet", "eeg:atm", "meg:ridge", "meg:atm", "meg:benchetrit"],
}
NAMES = {"fmri": "fMRI", "eeg": "EEG", "meg": "MEG", RIDGE: "linear", **nd.networks.NAMES}


def main() -> None:
    args = arguments()
    generator = reconstruction.load_diffusion("lab", device=args.device)
    encoder = vision.load("lab", device=args.device)
    plan = pipeline.planned(steps=args.steps, seed=args.seed)
    systems, hashes = {}, {}
    for system in args.systems:
        modality, kind = system.split(":")
        made = [one(modality, kind, s + 1, generator, encoder, plan, args) for s in range(args.subjects)]
        hashes |= {f"{modality} {s + 1}": m.attrs.pop("data") for s, m in enumerate(made)}
        systems[system] = joined(made)
        print(system, systems[system]["value"].mean("picture").round(3).to_pandas().T, sep="\n", flush=True)
    result = together(systems, args)
    parameters = {k: v for k, v in vars(args).items() if k != "out"} | {"plan": plan}
    result = store.stamp(result, what="fitters", parameters=parameters, seed=args.seed, data=hashes)
    nd.save(result, args.out / f"{args.name}.nc", overwrite=True)
    print(f"wrote {args.out / args.name}.nc")


def one(
    modality: str,
    kind: str,
    number: int,
    generator: reconstruction.Generator,
    encoder: vision.Encoder,
    plan: pipeline.Plan,
    args: argparse.Namespace,
) -> xr.Dataset:
    """Both stages of one subject, from its file if it is there; ``data`` in attrs is the hash of what went in."""
    data = pipeline.lab_data(modality, subject=number, size=args.size, seed=args.seed)
    decoder = decoder_of(kind, args)
    by_concept = args.by_concept and modality != "fmri"
    key = {
        "plan": plan,
        "decoder": decoder,
        "recipe": nd.networks.RECIPE,
        "data": store.data_hash(data.responses, *data.features.values()),
        "generator": generator.weights,
        "encoder": encoder.weights,
        "n": args.n,
    } | ({"c": "by concept"} if by_concept else {})
    pieces = store.Pieces.named(args.out / "fitters_pieces", f"{data.subject}_{kind}", key=key)
    if "made" not in pieces:
        fits = pipeline.Fits(data, plan.regions, plan.n_voxels, decoder=decoder)
        others = {"c": naming(fits, plan.meaning)} if by_concept else None
        made = pipeline.run(data, generator, encoder, plan, n=args.n, fits=fits, decoders=others)
        pieces.save("made", made[["value", "truth", "imagined", "images"]])
    return pieces.load("made").assign_attrs(data=key["data"])


def naming(fits: pipeline.Fits, meaning: str) -> reconstruction.ByConcept:
    """Return a decoder of c that names which of the test concepts was seen, and takes the words for it."""
    centres = nd.retrieval.concept_centres(fits.data.features[meaning], fits.test)
    return reconstruction.ByConcept(fits.fitted(meaning), centres, vision.load_text("lab"))


def decoder_of(kind: str, args: argparse.Namespace) -> Any:
    """Return the decoder of every feature space; ridge, with its selection of voxels, is the pipeline's own."""
    if kind == RIDGE:
        return None
    return nd.networks.few_trials(kind).set_params(
        size=args.network_size, epochs=args.epochs, seed=args.seed, device=args.device
    )


def joined(made: list[xr.Dataset]) -> xr.Dataset:
    """Average the scores of every picture over subjects, who saw the same; the pictures are the first subject's."""
    scores = [m["value"].swap_dims(sample="stimulus").reset_coords("sample", drop=True) for m in made]
    first = made[0].rename(sample="picture").drop_vars("picture")
    mean = xr.concat(scores, "subject", join="exact").mean("subject", keep_attrs=True)
    values = mean.sel(stimulus=first["stimulus"].values).rename(stimulus="picture").drop_vars("picture")
    number = np.arange(first.sizes["picture"])
    return first.assign(value=values.assign_coords(stimulus=first["stimulus"])).assign_coords(picture=number)


def together(systems: dict[str, xr.Dataset], args: argparse.Namespace) -> xr.Dataset:
    """Stack systems (system, ...); pictures have numbers, since modalities differ in test stimuli."""
    names = [", ".join(NAMES.get(part, part) for part in system.split(":")) for system in systems]
    bare = [s.reset_coords("stimulus") for s in systems.values()]
    result = xr.concat(bare, xr.Variable("system", names), combine_attrs="drop_conflicts")
    said = {"simulated": True, "subjects": args.subjects, "network_size": args.network_size}
    said["by_concept"] = int(args.by_concept)
    modality = [s.split(":")[0] for s in systems]
    return result.assign_coords(modality=("system", modality)).assign_attrs(said)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--table", choices=TABLES, default="7", help="of the paper")
    which.add_argument("--systems", nargs="+", metavar="MODALITY:DECODER", help="instead of a table's")
    parser.add_argument("--subjects", type=int, default=1, help="of each modality")
    parser.add_argument("--size", choices=("small", "full"), default="small", help="of the lab")
    parser.add_argument("--n", type=int, default=40, help="test pictures a subject")
    parser.add_argument("--steps", type=int, help="iterations of stage 2")
    parser.add_argument("--network-size", choices=nd.networks.SIZES, default="small")
    parser.add_argument("--epochs", type=int, default=60, help="at most")
    parser.add_argument(
        "--by-concept",
        action="store_true",
        help='EEG and MEG: c is that of "a picture of ..." the test concept whose picture is most like the decoded '
        "meaning (of a closed set, in which the right one is)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="of the networks and of the generator")
    args = inputs.parsed(parser)
    args.name = f"table_{args.table}" if args.systems is None else "fitters"
    args.name += "_by_concept" * args.by_concept
    args.systems = args.systems or TABLES[args.table]
    _require_known(args.systems)
    return args


def _require_known(systems: list[str]) -> None:
    epochs = (RIDGE, *nd.networks.ARCHITECTURES)
    kinds = {"fmri": (RIDGE, "mlp", "transformer"), "eeg": epochs, "meg": epochs}
    for system in systems:
        modality, _, kind = system.partition(":")
        if kind not in kinds.get(modality, ()):
            raise SystemExit(
                f"unknown system {system!r}; it is fmri, eeg or meg, a colon, and one of {', '.join(epochs)} (fmri: "
                f"{', '.join(kinds['fmri'])})"
            )


if __name__ == "__main__":
    main()

"""Does decoded structure pull reconstructions into place? (Figs. 4-6, Table 4, on the lab)

Ridge decoders of meaning (c), of the image latent (z) and of CLIP's blocks are fitted on the training stimuli; the
lab's miniature diffusion model makes pictures of the test stimuli (stage 1), and moves their latents until their
features meet the decoded ones (stage 2). Both are compared with what was shown: pixel by pixel, by proxies (layers of
the lab's CLIP) and by the referee, an independent network that reads what a picture shows, and where.

    python analyses/reconstruct.py --subjects 1 --n 40 --out results
    python analyses/reconstruct.py --modality meg --subjects 1 --out results
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs, reconstruction, vision
from neurodecode.datasets import lab
from neurodecode.datasets.lab import referee

LAYERS = ("Linear-2", "Linear-4", "Linear-6", "Linear-8", "Linear-10", "Linear-12")
# The latents' decoders; a layer holds the picture's meaning in place.
MEANING = "final"
GAMMA = 0.05
KEEP = 0.25
ALPHAS = (1e1, 1e2, 1e3, 1e4)
FRAMES = (0, 10, 20, 30, 40, 50, 60)
BATCH = 10
STAGES = ("imagined", "images")


def main() -> None:
    args = arguments()
    generator, encoder = reconstruction.load_diffusion("lab"), vision.load("lab")
    found = []
    for number in range(1, args.subjects + 1):
        recording = lab.load(args.modality, subject=number, size=args.size, seed=args.seed)
        found.append(one(recording, generator, encoder, args))
        print(found[-1]["mean"].to_pandas().T.round(3))
    names = [str(f.attrs["subject"]) for f in found]
    result = xr.concat(found, dim=xr.Variable("subject", names), combine_attrs="drop_conflicts")
    result.attrs |= {"simulated": True, "generator": generator.name, "modality": args.modality}
    parameters = {k: v for k, v in globals().items() if k.isupper()} | {"n": args.n, "steps": args.steps}
    stamped = nd.store.stamp(result, what="reconstruct", parameters=parameters, seed=args.seed)
    out = args.out / f"reconstruct_{args.modality}.nc"
    nd.save(stamped, out, overwrite=True)
    write_table(result, args.out / f"reconstruct_{args.modality}.csv")
    print(f"wrote {out}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modality", choices=inputs.MODALITIES, default="fmri")
    parser.add_argument("--subjects", type=int, default=1)
    parser.add_argument("--size", choices=lab.SIZES, default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=40, help="test pictures a subject")
    parser.add_argument("--steps", type=int, default=60, help="iterations of stage 2")
    parser.add_argument("--gamma", type=float, default=GAMMA, help="weight of the semantic term")
    parser.add_argument("--rate", type=float, default=0.01, help="step size of stage 2")
    parser.add_argument("--resume", type=Path, help="folder for finished pictures, from which a run goes on")
    parser.add_argument("--out", type=Path, default=Path("results"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def one(
    recording: lab.Recording,
    generator: reconstruction.Generator,
    encoder: vision.Encoder,
    args: argparse.Namespace,
) -> xr.Dataset:
    """Reconstruct one subject's first ``n`` test stimuli and score both stages."""
    responses = recording.responses
    if "repeat" in responses.coords:
        responses = nd.brain.average_repeats(responses)
    train = responses[responses.split == "train"]
    test = responses[responses.split == "test"][: args.n]
    subject = str(responses.attrs["subject"])
    decoders = {
        k: fitted(train, v) for k, v in recording.features.items() if k in ("c", "z", MEANING, *LAYERS)
    }
    structure = nd.brain.stack({k: recording.features[k] for k in LAYERS})
    masks = nd.selection.best_features(responses, structure, nd.RidgeDecoder(alpha=ALPHAS[2]), keep=KEEP)
    stage = reconstruction.TwoStage(
        generator,
        encoder,
        semantic=decoders["c"],
        latent=decoders["z"],
        structure={k: decoders[k] for k in LAYERS},
        masks=masks,
        meaning=(MEANING, decoders[MEANING]),
        gamma=args.gamma,
        settings=reconstruction.Settings(steps=args.steps, rate=args.rate),
        batch=BATCH,
        seed=args.seed,
    )
    frames = [f for f in FRAMES if f <= args.steps]
    resume = None if args.resume is None else args.resume / subject
    if resume is not None:
        resume.parent.mkdir(parents=True, exist_ok=True)
    made = stage.refine(test, show=frames, resume=resume)
    return scored(made, recording, encoder).assign_attrs(subject=subject)


def fitted(train: xr.DataArray, features: xr.DataArray) -> nd.RidgeDecoder:
    return nd.RidgeDecoder(alpha=list(ALPHAS)).fit(train, features)


def scored(made: xr.Dataset, recording: lab.Recording, encoder: vision.Encoder) -> xr.Dataset:
    """Scores of both stages (stage, metric), and the low-level ones of every frame."""
    value = xr.concat([scores(made[s], recording, encoder) for s in STAGES], dim=xr.Variable("stage", [1, 2]))
    frames = [
        nd.metrics.evaluate(
            made["frames"].sel(frame=f), recording.images, protocol="lab", metrics=["PixCorr", "SSIM"]
        )
        for f in made["frame"].values
    ]
    along = xr.concat([f["value"].drop_vars(["better", "chance"]) for f in frames], dim=made["frame"])
    shown = recording.images.sel(stimulus=made["stimulus"].values)
    n = value.sizes["sample"]
    return xr.Dataset(
        {
            "value": value,
            "mean": value.mean("sample"),
            "sem": value.std("sample", ddof=1) / np.sqrt(n),
            "along": along.rename(metric="low_metric"),
            "loss": made["loss"],
            "truth": (("sample", "row", "column", "colour"), shown.values),
            **{k: made[k] for k in (*STAGES, "frames", "best", "end")},
        }
    ).assign_attrs(n=n, proxies="layers of the lab's CLIP, which stage 2 also looks at")


def scores(images: xr.DataArray, recording: lab.Recording, encoder: vision.Encoder) -> xr.DataArray:
    """Every metric of every picture (metric, sample)."""
    own = nd.metrics.evaluate(images, recording.images, protocol="lab", encoder=encoder)["value"]
    read = referee.errors(images, recording.truth).astype(float).drop_vars("stimulus")
    judged = read.rename({k: f"referee {k}" for k in read.data_vars}).to_dataarray("metric")
    own = own.drop_vars([c for c in own.coords if c not in ("metric", "sample")])
    return xr.concat([own, judged.assign_coords(sample=own["sample"])], dim="metric")


def write_table(result: xr.Dataset, path: Path) -> None:
    """Write one row a subject, stage and metric."""
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["modality", "subject", "generator", "stage", "metric", "mean", "sem", "n"])
        for subject in result["subject"].values:
            for stage in result["stage"].values:
                for metric in result["metric"].values:
                    cell = result[["mean", "sem"]].sel(subject=subject, stage=stage, metric=metric)
                    numbers = [f"{float(cell[k]):.6g}" for k in ("mean", "sem")]
                    said = [result.attrs["modality"], subject, result.attrs["generator"], stage, metric]
                    table.writerow([*said, *numbers, result.attrs["n"]])


if __name__ == "__main__":
    main()

"""Does decoded structure pull reconstructions into place? (Figs. 4-6, Tables 3 and 4, on the lab)

Ridge decoders of meaning (c), of the image latent (z) and of CLIP's blocks are fitted on the training stimuli; a
generator makes pictures of the test stimuli (stage 1), and moves its latents until the pictures' features meet the
decoded ones (stage 2). Both are compared with what was shown: pixel by pixel, by proxies (layers of the lab's CLIP) and
by the referee, an independent network that reads what a picture shows, and where.

    python analyses/reconstruct.py --subjects 1 --n 40
    python analyses/reconstruct.py --modality meg --subjects 1 --n 40
    python analyses/reconstruct.py --generator autoencoder --subjects 1
"""

import argparse
from pathlib import Path

import xarray as xr

import neurodecode as nd
from neurodecode import inputs, pipeline, reconstruction, vision
from neurodecode.datasets import lab

GENERATORS = {
    "diffusion": lambda: reconstruction.load_diffusion("lab"),
    "diffusion, less noise": lambda: reconstruction.load_diffusion(
        "lab", schedule=reconstruction.Schedule(10, 5, 5)
    ),
    "autoencoder": lambda: reconstruction.Autoencoder(vision.load_latents("lab"), size=(64, 64)),
    "pixels": lambda: reconstruction.Pixels(size=(64, 64)),
}


def main() -> None:
    args = arguments()
    generator, encoder = GENERATORS[args.generator](), vision.load("lab")
    plan = pipeline.planned(gamma=args.gamma, steps=args.steps, seed=args.seed)
    name = f"reconstruct_{args.modality}" + (
        "" if args.generator == "diffusion" else f"_{args.generator.replace(', ', '_').replace(' ', '_')}"
    )
    found = []
    for number in range(1, args.subjects + 1):
        data = pipeline.lab_data(args.modality, subject=number, size=args.size, seed=args.seed)
        resume = None if args.resume is None else args.resume / f"{name}-{data.subject}"
        found.append(pipeline.run(data, generator, encoder, plan, n=args.n, resume=resume))
        print(data.subject)
        print(found[-1]["value"].mean("sample").to_pandas().T.round(3), flush=True)
    names = [str(f.attrs["subject"]) for f in found]
    result = xr.concat(
        found, dim=xr.Variable("subject", names), combine_attrs="drop_conflicts", join="override"
    )
    result.attrs |= {"simulated": True, "generator": generator.name, "modality": args.modality}
    parameters = {"plan": plan, "n": args.n, "generator": generator.name, "weights": generator.weights}
    stamped = nd.store.stamp(result, what="reconstruct", parameters=parameters, seed=args.seed)
    nd.save(stamped, args.out / f"{name}.nc", overwrite=True)
    pipeline.write_csv(result, args.out / f"{name}.csv", modality=args.modality, generator=generator.name)
    print(nd.metrics.written(table(result), rows="metric") if args.subjects > 1 else "")
    print(f"wrote {args.out / name}.nc")


def table(result: xr.Dataset) -> xr.Dataset:
    """Stage 1 against stage 2, over subjects."""
    means = result["value"].mean("sample")
    return nd.metrics.compare(means.sel(stage=1), means.sel(stage=2), over="subject")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modality", choices=inputs.MODALITIES, default="fmri")
    parser.add_argument("--generator", choices=GENERATORS, default="diffusion")
    parser.add_argument("--subjects", type=int, default=1)
    parser.add_argument("--size", choices=lab.SIZES, default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=40, help="test pictures a subject")
    parser.add_argument("--steps", type=int, help="iterations of stage 2")
    parser.add_argument("--gamma", type=float, help="weight of the semantic term")
    parser.add_argument("--resume", type=Path, help="folder for finished pictures, from which a run goes on")
    parser.add_argument("--out", type=Path, default=Path("results"))
    args = parser.parse_args()
    for folder in filter(None, (args.out, args.resume)):
        folder.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    main()

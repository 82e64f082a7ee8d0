"""Does decoded structure pull reconstructions into place? (Figs. 4-6, Tables 3 and 4, on the lab)

Ridge decoders of meaning (c), of the image latent (z) and of CLIP's blocks are fitted on the training stimuli; a
generator makes pictures of the test stimuli (stage 1), and moves its latents until the pictures' features meet the
decoded ones (stage 2). Both are compared with what was shown: pixel by pixel, by proxies (layers of the lab's CLIP) and
by the referee, an independent network that reads what a picture shows, and where.

    python analyses/reconstruct.py --subjects 1 --n 40
    python analyses/reconstruct.py --modality meg --subjects 1 --n 40
    python analyses/reconstruct.py --generator autoencoder --subjects 1
    python analyses/reconstruct.py --generator autoencoder --oracle     # true features: how far the machinery goes
"""

import argparse
from dataclasses import replace

import xarray as xr

import neurodecode as nd
from neurodecode import pipeline, reconstruction, vision

GENERATORS = {
    "diffusion": lambda: reconstruction.load_diffusion("lab"),
    "diffusion, less noise": lambda: reconstruction.load_diffusion(
        "lab", schedule=reconstruction.Schedule(10, 5, 5)
    ),
    "autoencoder": lambda: reconstruction.Autoencoder(vision.load_latents("lab"), size=(64, 64)),
    "pixels": lambda: reconstruction.Pixels(size=(64, 64)),
}
# With true features there is no noise to fit: on and on.
ORACLE = reconstruction.Settings(steps=300, rate=0.1, decay=0.99)


def main() -> None:
    args = arguments()
    generator, encoder = GENERATORS[args.generator](), vision.load("lab")
    plan = pipeline.planned(gamma=args.gamma, steps=args.steps, seed=args.seed)
    name = f"reconstruct_{args.modality}"
    if args.generator != "diffusion":
        name += f"_{args.generator.replace(', ', '_').replace(' ', '_')}"
    if args.oracle:
        name += "_oracle"
        plan = replace(
            plan, oracle=True, gamma=0.0, settings=replace(ORACLE, steps=args.steps or ORACLE.steps)
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
    said = {"generator": args.generator, "modality": args.modality, "oracle": args.oracle}
    result.attrs |= {"simulated": True, **said}
    parameters = {"plan": plan, "n": args.n, "generator": generator.name, "weights": generator.weights}
    stamped = nd.store.stamp(result, what="reconstruct", parameters=parameters, seed=args.seed)
    nd.save(stamped, args.out / f"{name}.nc", overwrite=True)
    path = args.out / f"{name}.csv"
    pipeline.write_csv(result, path, modality=args.modality, generator=generator.name, overwrite=True)
    left = result["loss"].isel(iteration=-1) / result["loss"].isel(iteration=0)
    print(
        f"loss: {100 * (1 - float(left.mean())):.1f} % lower, {100 * (1 - float(left.max())):.1f} % at least"
    )
    if args.subjects > 1:
        gains = table(result)
        print(nd.metrics.written(gains))
        print(gains[["gain", "gain_sem"]].to_dataframe()[["gain", "gain_sem"]].round(1))
    print(f"wrote {args.out / name}.nc")


def table(result: xr.Dataset) -> xr.Dataset:
    """Stage 1 against stage 2, over subjects."""
    means = result["value"].mean("sample")
    return nd.metrics.gains(means.sel(stage=1), means.sel(stage=2), over="subject")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--generator", choices=GENERATORS, default="diffusion")
    parser.add_argument(
        "--oracle", action="store_true", help="true features of the layers: no reconstruction"
    )
    parser.add_argument("--gamma", type=float, help="weight of the semantic term")
    return pipeline.arguments(parser, n=40, steps=None)


if __name__ == "__main__":
    main()

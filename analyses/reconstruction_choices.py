"""Which choices matter to a reconstruction? (Fig. 8, Tables 5, 6 and 8, on the lab)

The same test stimuli of one or more subjects are reconstructed with other values of one choice, all else equal:

    python analyses/reconstruction_choices.py keep      # Fig. 8: share of trusted dimensions, %
    python analyses/reconstruction_choices.py regions   # Table 5: voxels of LVC, of HVC, of both
    python analyses/reconstruction_choices.py without   # Table 6: a latent, the semantic term or a layer left out
    python analyses/reconstruction_choices.py gamma     # Table 8: weight of the semantic term
    python analyses/reconstruction_choices.py trust     # dimensions weighed by their precision, or a mask alone
"""

import argparse
from dataclasses import replace

import xarray as xr

import neurodecode as nd
from neurodecode import pipeline, reconstruction, vision

# Each variant: its name, and what differs from the plan.
CHOICES = {
    "keep": {str(k): {"keep": k / 100} for k in (5, 10, 25, 50, 75, 100)},
    "regions": {name: {"regions": name} for name in ("LVC+HVC", "LVC", "HVC")},
    "without": {
        "nothing": {},
        "c": {"latents": ("z",)},
        "z": {"latents": ("c",)},
        "meaning": {"gamma": 0.0},
        "Linear-2": {"layers": ("Linear-4", "Linear-6")},
        "Linear-6": {"layers": ("Linear-2", "Linear-4")},
    },
    "gamma": {str(g): {"gamma": g} for g in (0.0, 0.05, 0.2, 0.5, 1.0, 5.0)},
    "trust": {
        "precision": {},
        "precision of a quarter": {"keep": 0.25},
        "the best quarter": {"trust": "equal", "keep": 0.25},
        "all alike": {"trust": "equal"},
    },
}


def main() -> None:
    args = arguments()
    generator, encoder = reconstruction.load_diffusion("lab"), vision.load("lab")
    subjects = []
    for number in range(1, args.subjects + 1):
        data = pipeline.lab_data(args.modality, subject=number, size=args.size, seed=args.seed)
        fits: dict[str | None, pipeline.Fits] = {}
        found = [
            one(data, generator, encoder, args, name, changes, fits)
            for name, changes in CHOICES[args.choice].items()
        ]
        names = xr.Variable(args.choice, list(CHOICES[args.choice]))
        subjects.append(xr.concat(found, dim=names).expand_dims(subject=[data.subject]))
    result = xr.concat(subjects, dim="subject", join="override").to_dataset(name="value")
    result.attrs |= {"simulated": True, "modality": args.modality, "choice": args.choice, "protocol": "lab"}
    parameters = {
        "n": args.n,
        "steps": args.steps,
        "variants": CHOICES[args.choice],
        "weights": generator.weights,
    }
    stamped = nd.store.stamp(result, what="reconstruction_choices", parameters=parameters, seed=args.seed)
    out = args.out / f"reconstruction_{args.choice}_{args.modality}.nc"
    nd.save(stamped, out, overwrite=True)
    print(f"wrote {out}")


def one(data, generator, encoder, args, name, changes, fits) -> xr.DataArray:
    """Scores (stage, metric, sample) of one variant; what is fitted serves all with the same regions."""
    plan = replace(pipeline.planned(steps=args.steps, seed=args.seed), **changes)
    if plan.regions not in fits:
        fits[plan.regions] = pipeline.Fits(data, plan.regions, plan.n_voxels)
    resume = None if args.resume is None else args.resume / f"{args.choice}-{name}-{data.subject}"
    frames = (0, plan.settings.steps)
    found = pipeline.run(
        data, generator, encoder, plan, n=args.n, frames=frames, resume=resume, fits=fits[plan.regions]
    )["value"]
    print(f"{data.subject}, {args.choice} {name}")
    print(found.mean("sample").to_pandas().T.round(3), flush=True)
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("choice", choices=CHOICES)
    return pipeline.arguments(parser, n=20, steps=20)


if __name__ == "__main__":
    main()

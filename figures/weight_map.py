"""Fig. 9a-c: weights on the cortex, from the result of analyses/weight_map.py; one figure a layer.

python figures/weight_map.py results/weight_map.nc --out results
python figures/weight_map.py results/weight_map.nc --kind filter --engine pycortex --out results
"""

import xarray as xr

import neurodecode as nd
from neurodecode import inputs


def main() -> None:
    args = inputs.figure_arguments(__doc__, kind=("pattern", "filter", "selection"), engine=("matplotlib", "pycortex"))
    result = inputs.load_result(args.result)
    # analyses/ keep both kinds; the command `neurodecode weight-map` keeps the one that it was asked for.
    values = result[args.kind if args.kind in result else "weight_map"]
    for layer in values.layer.values:
        figure = draw(values.sel(layer=layer), result, engine=args.engine)
        subject = values.attrs.get("subject", "")
        figure.suptitle(inputs.titled(f"Subject {subject}: {layer}", result), x=0.01, ha="left", size=8)
        nd.plot.save(figure, args.out / f"{args.result.stem}-{values.attrs['kind']}-{layer}")


def draw(values: xr.DataArray, result: xr.Dataset, *, engine: str):
    """Draw voxels on a mesh as a cortex, voxels of a volume as slices."""
    label = f"Fitting weights for {values.layer.item()}: {values.attrs['units']}"
    if "vertex" not in values.coords:
        return nd.plot.slice_map(values, label=label)
    regions = result.get("regions")
    return nd.plot.cortex(values, regions=regions, label=label, engine=engine)


if __name__ == "__main__":
    main()

"""Fig. 9a-c: weights on the cortex, from the result of analyses/weight_map.py; one figure a layer.

Of layers that differ by a number only, such as Linear-2 ... Linear-12, the first is drawn.

A map that was tested shows the voxels that passed (by spatial.map_permutation, false discoveries over voxels) and
curvature elsewhere. Of others, values below the map's median and one (robust) standard deviation over voxels are left
out, as means of absolute weights lie above 0 in voxels of pure noise. The colour bar says which.

python figures/weight_map.py results/weight_map.nc --out results
python figures/weight_map.py results/weight_map.nc --kind filter --engine pycortex --out results
"""

import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.look import map_label

LEVEL = 0.05


def main() -> None:
    args = inputs.figure_arguments(
        __doc__, kind=("pattern", "filter", "selection"), engine=("matplotlib", "pycortex")
    )
    result = inputs.load_result(args.result)
    values = chosen(result, args.kind)
    maps = inputs.shallowest({str(name): values.sel(layer=name) for name in values.layer.values})
    for layer, one in maps.items():
        figure = draw(one, result, passed(result, values, layer), engine=args.engine)
        name = nd.plot.spell_layers(one).layer.item()
        title = inputs.titled(f"{name}, subject {values.attrs.get('subject', 'not given')}", result)
        figure.suptitle(title, x=0.01, ha="left", size=8)
        nd.plot.save(figure, args.out / f"{args.result.stem}-{values.attrs.get('kind', 'map')}-{layer}")


def chosen(result: xr.Dataset, kind: str) -> xr.DataArray:
    """The map of this kind, as analyses/ keep several; or the only one, as the command and the library make it."""
    if {"value", "p_fdr"} <= set(result.data_vars):  # of spatial.map_permutation
        return result["value"].assign_attrs(result.attrs)
    maps = [str(n) for n, v in result.data_vars.items() if {"layer", "voxel"} <= set(v.dims)]
    if kind not in maps and len(maps) != 1:
        raise ValueError(f"the file needs one map (layer, voxel), or one called {kind!r}; it has {maps}")
    return result[kind if kind in maps else maps[0]]


def passed(result: xr.Dataset, values: xr.DataArray, layer: str) -> xr.DataArray | None:
    """Voxels that passed the test, corrected for false discoveries; None for maps that were not tested."""
    if "p_fdr" not in result:
        return None
    p = result["p_fdr"].rename({"tested": "layer"} if "tested" in result["p_fdr"].dims else {})
    own = values.attrs.get("kind") == result.attrs.get("kind", "pattern")
    return p.sel(layer=layer) <= LEVEL if own and layer in p["layer"].values else None


def draw(
    values: xr.DataArray, result: xr.Dataset, significant: xr.DataArray | None, *, engine: str, figure=None
):
    """Draw voxels on a mesh as a cortex, voxels of a volume as slices."""
    label = map_label(values.attrs)
    lowest = 0.0
    if significant is not None:
        label += "\nshown: " if significant.any() else "\nno voxel has "
        label += f"p \u2264 {LEVEL:g} (FDR, {result.attrs['n_permutations']} shuffles)"
    if significant is not None and significant.any():
        values = values.where(significant)
        lowest = float(abs(values).min())
    elif "vertex" in values.coords:
        lowest = floor(values)
        label += "\ngrey: under median + 1 SD" if lowest else ""
    if "vertex" not in values.coords:
        return nd.plot.slice_map(values, figure=figure, label=label)
    return nd.plot.cortex(
        values,
        regions=result.get("regions"),
        figure=figure,
        label=label,
        threshold=lowest,
        engine=engine,
    )


def floor(values: xr.DataArray) -> float:
    """Median over voxels and 1.4826 median absolute deviations, which is one SD of normal noise; 0 for signed maps."""
    if bool((values < 0).any()):
        return 0.0
    middle = float(values.median())
    return min(middle + 1.4826 * float(abs(values - middle).median()), float(values.max()))


if __name__ == "__main__":
    main()

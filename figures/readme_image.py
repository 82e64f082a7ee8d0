"""The README's picture: where structure and meaning are read from, from the result of analyses/weight_map.py.

python figures/readme_image.py results/demo/weight_map.nc --out docs/images
"""

import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from PIL import Image
from weight_map import draw, passed

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.surface import scale_of

SHOWN = {"Linear-2": "Structure (CLIP, Linear-2)", "c": "Meaning (c)"}
# The file's palette: few greys for the cortex, more of the map's colours, each lit and in shade.
GREYS, COLOURS, LIGHTS = 26, 24, (1.0, 0.85, 0.7)


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    maps = result["pattern"]
    with nd.plot.style():
        figure = plt.figure(figsize=(nd.plot.PAGE, 5.6), layout="none")
        for part, (layer, name) in zip(figure.subfigures(2, 1), SHOWN.items(), strict=True):
            values = maps.sel(layer=layer)
            draw(values, result, passed(result, values, layer), engine="matplotlib", figure=part)
            part.suptitle(inputs.titled(name, result), x=0.01, y=0.99, ha="left", size=8)
        write(figure, args.out / "weight_map.png")


def colours() -> np.ndarray:
    """Palette (colour, 3), 0 to 255."""
    greys = np.repeat(np.linspace(0, 1, GREYS)[:, None], 3, axis=1)
    steps = scale_of(xr.DataArray([0.0, 1.0]), None).colours(np.linspace(0, 1, COLOURS))[:, :3]
    return np.rint(255 * np.concatenate([greys, *(steps * light for light in LIGHTS)])).astype(np.uint8)


def write(figure: plt.Figure, path: Path) -> None:
    """Save as a PNG with a palette."""
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=204)
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours().ravel().tolist())
    Image.open(held).convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    print(f"wrote {path}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

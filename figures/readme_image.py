"""The README's picture: where structure and meaning are read from, from the result of analyses/weight_map.py.

python figures/readme_image.py results/demo/weight_map.nc --out docs/images
"""

import io

import matplotlib.pyplot as plt
from PIL import Image
from weight_map import floor

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.look import map_label

SHOWN = {"structure": "Structure", "c": "Meaning (c)"}
COLOURS = 160  # in the file's palette: a quarter of the bytes, to the eye the same


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    maps = result["pattern"]
    label = f"{map_label(maps.attrs)}\ngrey: under median + 1 SD"
    with nd.plot.style():
        figure = plt.figure(figsize=(nd.plot.PAGE, 5.6), layout="none")
        for part, (layer, name) in zip(figure.subfigures(2, 1), SHOWN.items(), strict=True):
            values = maps.sel(layer=layer)
            nd.plot.cortex(
                values, regions=result["regions"], figure=part, label=label, threshold=floor(values)
            )
            part.suptitle(inputs.titled(name, result), x=0.01, y=0.99, ha="left", size=8)
        write(figure, args.out / "weight_map.png")


def write(figure: plt.Figure, path) -> None:
    """Save as a PNG with a palette."""
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=204)
    Image.open(held).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"wrote {path}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

"""What works without any extra, and what says which extra it needs. For an installation without extras.

    python release/core_only.py            # where no extra is installed
    python release/core_only.py --hide     # anywhere: the extras' packages are hidden from this process

Runs the calls of the core on small made-up data and asks every door to an extra for its message. `--installed FOLDER`
also checks that the package is the one inside that folder.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

# extra: what it installs, by the names that are imported
EXTRAS = {
    "vision": (
        "diffusers", "fontTools", "huggingface_hub", "justmyresource_mdi", "open_clip", "safetensors", "skimage",
        "timm", "torch", "torchvision", "transformers",
    ),
    "cortex": ("plotly", "cortex"),
    "scale": ("dask", "distributed"),
    "bids": ("mne_bids",),
    "bands": ("himalaya",),
    "rsa": ("rsatoolbox",),
    "rest": ("brainspace",),
}  # fmt: skip
# matplotlib needs fontTools and Pillow itself, mne and nilearn bring others: they are there without any extra
COMES_ANYHOW = {"fontTools"}
# a seed of the lab that nobody has loaded: what is in its cache needs no extra
UNSEEN = 972_113
HIDDEN = {name for names in EXTRAS.values() for name in names} - COMES_ANYHOW


class Hide:
    """A finder of modules that finds all but the extras' packages, as if these were not installed."""

    def __init__(self, finder: Any) -> None:
        self.finder = finder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find a module, or None."""
        return None if name.partition(".")[0] in HIDDEN else self.finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        """Everything else, such as how versions of installed packages are found, as before."""
        return getattr(self.finder, name)


def works(folder: Path) -> None:
    """Decode, sweep, map, test, draw, store: the README's two examples on data of our own."""
    import neurodecode as nd

    rng = np.random.default_rng(0)
    names = [f"image {i}" for i in range(40)]
    split = ["train"] * 30 + ["test"] * 10
    features = nd.brain.features(rng.standard_normal((40, 3)), stimulus=names)
    said = np.asarray(features) @ rng.standard_normal((3, 12))
    responses = nd.brain.fmri(
        said + 0.1 * rng.standard_normal((40, 12)), sample=names, stimulus=names, split=split,
        roi=["V1"] * 6 + ["V4"] * 6,
    )  # fmt: skip
    decoder = nd.RidgeDecoder(alpha=1.0)
    score = nd.spatial.decode(responses, features, decoder, regions=["V1", "V4"])
    require(float(score.min()) > 0.9, "decoding per region")
    train = responses[responses.split == "train"]
    maps = nd.spatial.weight_map(decoder.fit(train, features), kind="pattern", responses=train)
    require(maps.sizes["voxel"] == 12, "a weight map")
    nd.RidgeEncoder(alpha=[1.0, 10.0]).fit(features, train)
    epochs = [
        nd.brain.meeg(
            said[:, :4, None] + 0.3 * rng.standard_normal((40, 4, 10)), sample=names, stimulus=names,
            channel=["O1", "O2", "Oz", "Pz"], time=np.arange(10) / 100, split=split, subject=f"s{i}",
        )
        for i in range(3)
    ]  # fmt: skip
    curve = nd.temporal.sweep(epochs, features, decoder, width=0.03, step=0.02, score="pairwise")
    require(float(curve.mean()) > 0.8, "decoding over time")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    nd.plot.time_course(nd.inference.group(curve), ax=ax)
    nd.plot.save(figure, folder / "time_course")
    nd.save(curve, folder / "time_course.nc")
    require(nd.load(folder / "time_course.nc").equals(curve), "storing")
    require("pairwise" in nd.methods.paragraph(nd.load(folder / "time_course.nc")), "a methods paragraph")


def doors() -> list[tuple[str, str, Callable[[], object]]]:
    """Extra, what is asked for, and the call that must name the extra."""
    import neurodecode as nd
    from neurodecode import cli

    rng = np.random.default_rng(0)
    names = [f"image {i}" for i in range(12)]
    features = nd.brain.features(rng.standard_normal((12, 4)), stimulus=names, layer=["a", "a", "b", "b"])
    responses = nd.brain.fmri(rng.standard_normal((12, 6)), sample=names, stimulus=names)
    images = nd.brain.images(rng.random((12, 8, 8, 3)), stimulus=names)
    half = nd.brain.fmri(
        rng.standard_normal((12, 6)), sample=names, stimulus=names, hemi=["left"] * 6, vertex=range(6)
    )
    free = nd.reconstruction.Pixels(size=(8, 8))
    on_cortex = half[0].drop_vars(["sample", "stimulus"]).assign_attrs(space="fsaverage5")
    return [
        ("vision", "vision.load", lambda: nd.vision.load("lab")),
        ("vision", "vision.load_text", lambda: nd.vision.load_text("lab")),
        ("vision", "vision.load_latents", lambda: nd.vision.load_latents("lab")),
        ("vision", "datasets.lab.load", lambda: nd.datasets.lab.load("fmri", seed=UNSEEN)),
        ("vision", "metrics.evaluate", lambda: nd.metrics.evaluate(images, images, metrics=["SSIM"])),
        ("vision", "networks", lambda: nd.networks.NetworkDecoder("mlp").fit(responses, features)),
        ("vision", "reconstruction.load_diffusion", lambda: nd.reconstruction.load_diffusion("lab")),
        ("vision", "reconstruction.Pixels", lambda: free.draw([0])),
        ("vision", "reconstruction.Module", lambda: nd.reconstruction.Module(abs, latents={"w": (3,)})),
        ("vision", "reconstruction.TwoStage", lambda: nd.reconstruction.TwoStage(free).imagine(responses)),
        ("vision", "the demo", lambda: cli.demo.require_extra()),
        ("cortex", "plot.cortex_html", lambda: nd.plot.cortex_html(on_cortex, "cortex.html")),
        ("cortex", "plot.cortex_viewer", lambda: nd.plot.cortex_viewer(on_cortex, "cortex")),
        (
            "bids",
            "datasets.bids.meeg",
            lambda: nd.datasets.bids.meeg(".", subject="01", task="look", stimulus="trial_type"),
        ),
        ("bands", "RidgeEncoder", lambda: nd.RidgeEncoder(bands="layer").fit(features, responses)),
        ("rsa", "rsa.rdm", lambda: nd.rsa.rdm(responses)),
        ("rest", "datasets.resting", lambda: nd.datasets.resting.load()),
    ]


def silent() -> list[str]:
    """Calls that do not say, in one error of our own, which extra they need."""
    found = []
    for extra, name, call in doors():
        try:
            call()
            found.append(f"{name}: works without the extra {extra!r}")
        except ImportError as error:
            if not re.search(rf"neurodecode-toolkit\[{extra}\]", str(error)):
                found.append(f"{name}: {error}")
        except Exception as error:  # whatever it is, it is not the message that is wanted
            found.append(f"{name}: {type(error).__name__}: {error}")
    return found


def require(what: bool, who: str) -> None:
    """Stop where something does not hold."""
    if not what:
        raise SystemExit(f"{who} does not work without extras")


def main() -> int:
    """Run both parts; exit with 1 where one fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hide", action="store_true")
    parser.add_argument("--installed", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    mpl.use("Agg")
    if args.hide:
        sys.meta_path[:] = map(Hide, sys.meta_path)
    here = [] if args.hide else [name for name in sorted(HIDDEN) if find_spec(name)]
    import neurodecode

    if args.installed and not Path(neurodecode.__file__).is_relative_to(args.installed):
        raise SystemExit(f"{neurodecode.__file__} is not inside {args.installed}")
    with tempfile.TemporaryDirectory() as folder:
        works(Path(folder))
    found = silent() + [f"{name} is installed: this is not the core alone" for name in here]
    print("\n".join(found) or f"the core works; {len(doors())} doors name their extra")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

"""``neurodecode features``: what a decoder predicts, of the pictures that were shown and of words for them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._common import DEVICE, add

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

STRUCTURE = tuple(f"Linear-{k}" for k in range(2, 13, 2))
CONCEPTS = "concepts"


def add_features(commands: argparse._SubParsersAction) -> None:
    """Add ``features``."""
    parser = add(
        commands,
        "features",
        "features of the pictures that were shown: structure, z and c",
        "Writes layers.zarr, and where asked for z.zarr and c.zarr, into --out. Examples:\n\n"
        "  neurodecode features --images NSD/nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5 --responses sub-01.zarr \\\n"
        "      --model ViT-B-32 --pretrained openai --captions NSD --latents CompVis/stable-diffusion-v1-4 \\\n"
        "      --text CompVis/stable-diffusion-v1-4 --size 512 --out features\n"
        "  neurodecode features --images THINGS/images --responses sub-01.zarr --model lab --layers Linear-2 final \\\n"
        "      --captions concepts --out features\n\n"
        "Stopped, it goes on when the same command is run again.",
    )
    parser.add_argument(
        "--images", type=Path, required=True, metavar="PATH", help="a folder of pictures, or an HDF5 stack"
    )
    parser.add_argument(
        "--responses",
        nargs="+",
        default=[],
        type=Path,
        metavar="FILE",
        help="just the pictures that these were recorded to; all of them must be there (default: every picture)",
    )
    parser.add_argument(
        "--size", type=int, metavar="PIXELS", help="side of the pictures; as they are by default"
    )
    parser.add_argument(
        "--model", metavar="NAME", help="image encoder: 'lab', a folder, or one that open_clip knows"
    )
    parser.add_argument("--pretrained", metavar="NAME", help="weights of --model")
    parser.add_argument(
        "--layers",
        nargs="+",
        default=list(STRUCTURE),
        metavar="LAYER",
        help="of --model",
    )
    parser.add_argument(
        "--reading",
        choices=("paper", "code"),
        default="paper",
        help="which blocks Linear-2 ... Linear-12 are: 2, 4 ... 12, or 1 to 6 as in the first public code",
    )
    parser.add_argument(
        "--latents",
        metavar="NAME",
        help="autoencoder, for z: 'lab', a folder, or a published diffusion model",
    )
    parser.add_argument(
        "--captions",
        metavar="WORDS",
        help="for c: a .json, .csv or .tsv of captions, NSD's folder, or 'concepts' for \"a picture of ...\"",
    )
    parser.add_argument("--text", default="lab", metavar="NAME", help="text encoder, for c")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="pictures at a time")
    parser.add_argument("--device", default="cpu", metavar="NAME", help=DEVICE)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder to write")
    parser.set_defaults(run=_features)


def _features(args: argparse.Namespace) -> None:
    from .. import store, vision
    from ..datasets import stimuli

    if not (args.model or args.latents or args.captions):
        raise ValueError("give --model for layers, --latents for z, --captions for c, or several of them")
    named = {"layers": args.model, "z": args.latents, "c": args.captions}
    if not all((args.out / f"{name}.zarr").exists() for name, given in named.items() if given):
        store.require_writable(args.out, who="--out")
    labels = _shown(args.responses)
    images = stimuli.images(
        args.images, only=None if labels is None else labels["stimulus"].values, size=args.size
    )
    _say_what_is_there(images, labels)
    words = _words(args.captions, images, labels)
    # Models first: what cannot be loaded shall be known before hours of work.
    print("loading models; published ones that are not here yet are fetched once", flush=True)
    encoder = latents = text = None
    if args.model:
        encoder = vision.load(
            args.model, pretrained=args.pretrained, reading=args.reading, device=args.device
        )
    if args.latents:
        latents = vision.load_latents(args.latents, device=args.device)
    if words:
        text = vision.load_text(args.text, device=args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    made = []
    if encoder is not None:
        out = args.out / "layers.zarr"
        made.append(vision.extract_features(images, encoder, args.layers, out=out, batch=args.batch))
    if latents is not None:
        made.append(vision.latent_features(images, latents, out=args.out / "z.zarr", batch=args.batch))
    if text is not None:
        made.append(vision.text_features(words, text, out=args.out / "c.zarr", batch=args.batch))
    for array in made:
        names = list(dict.fromkeys(array["layer"].values.tolist()))
        print(f"{array.sizes['stimulus']} stimuli x {array.sizes['feature']} features: {', '.join(names)}")
    print(
        f"wrote {args.out}; decode them with: neurodecode decode --features {args.out}/*.zarr --responses ..."
    )


def _shown(paths: Sequence[Path]) -> xr.DataArray | None:
    """Return the numbers of all samples with their stimulus, and concept if it is known; None without responses."""
    import numpy as np
    import xarray as xr

    from .. import inputs, store
    from ..labels import require_coord
    from ..store.folders import is_blocks

    if not paths:
        return None
    # Labels alone are wanted: the values of prepared responses stay on disk.
    found = [store.open_blocks(path) if is_blocks(path) else inputs.responses_from(path) for path in paths]
    for path, one in zip(paths, found, strict=True):
        require_coord(one, "stimulus", who=str(path), dim="sample")
    names = [n for n in ("stimulus", "concept") if all(n in one.coords for one in found)]
    coords = {n: ("sample", np.concatenate([one[n].values.astype(str) for one in found])) for n in names}
    return xr.DataArray(np.arange(sum(len(one) for one in found)), dims="sample", coords=coords)


def _say_what_is_there(images: xr.DataArray, labels: xr.DataArray | None) -> None:
    count, rows, columns, _ = images.shape
    of = "" if labels is None else ", one for every stimulus of the responses"
    print(f"found {count} pictures of {rows} x {columns} pixels{of}", flush=True)


def _words(said: str | None, images: xr.DataArray, labels: xr.DataArray | None) -> Any:
    """Captions by stimulus."""
    from ..datasets import stimuli

    if said is None:
        return None
    only: np.ndarray = images["stimulus"].values
    if said == CONCEPTS:
        named = labels if labels is not None and "concept" in labels.coords else images
        if "concept" not in named.coords:
            raise ValueError(
                "--captions concepts needs to know of what every picture is: responses with the coordinate 'concept', "
                "or folders of pictures by whose name theirs begin, such as aardvark/aardvark_01b.jpg; or give a table "
                "of captions"
            )
        return stimuli.concept_prompts(named)
    if Path(said).is_dir():
        return stimuli.nsd_captions(said, only=only)
    return stimuli.captions(said, only=only)

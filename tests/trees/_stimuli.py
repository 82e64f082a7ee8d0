"""Pictures in folders and in NSD's stack, and captions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ._things_eeg import things_concepts


def noise(count: int, size: tuple[int, int] = (12, 10), *, seed: int = 0) -> np.ndarray:
    """Pictures (picture, row, column, colour) of bytes."""
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3)).astype(np.uint8)


def picture(path: Path, values: np.ndarray, **options: Any) -> None:
    """Write one picture; .png keeps its values, .jpg does not."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)


def things_images(
    root: Path,
    *,
    numbered: bool = True,
    each: int = 2,
    concepts: tuple[int, int] = (3, 2),
    size: tuple[int, int] = (12, 10),
    ending: str = "png",
) -> dict[str, np.ndarray]:
    """Folders of concepts: of THINGS-EEG2 where ``numbered``, else ``object_images`` of THINGS; {stimulus: values}.

    Published files are .jpg; .png keeps the values.
    """
    found = {}
    every = things_concepts(sum(concepts))
    values = iter(noise(each * len(every), size))
    for part, names in (("training_images", every[: concepts[0]]), ("test_images", every[concepts[0] :])):
        for i, concept in enumerate(names, 1):
            for k in range(1 if part == "test_images" else each):
                folder = f"{part}/{i:05d}_{concept}" if numbered else f"object_images/{concept}"
                stimulus = f"{concept}_{k + 1:02d}b"
                found[stimulus] = next(values)
                picture(root / folder / f"{stimulus}.{ending}", found[stimulus])
    return found


def nsd_stimuli(root: Path, *, count: int = 20, size: tuple[int, int] = (12, 10)) -> np.ndarray:
    """nsd_stimuli.hdf5; the original has 73,000 pictures of 425 x 425 pixels."""
    import h5py

    path = root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
    path.parent.mkdir(parents=True, exist_ok=True)
    values = noise(count, size, seed=1)
    with h5py.File(path, "w") as file:
        file.create_dataset("imgBrick", data=values, chunks=(1, *size, 3))
    return values


def nsd_captions(root: Path, *, pictures: list[int]) -> dict[str, list[str]]:
    """nsd_stim_info_merged.csv of all 73,000, and COCO's captions of these pictures and of some that NSD lacks."""
    rng = np.random.default_rng(0)
    # Every sixth from COCO's validation set. No number of COCO is one of NSD.
    coco = rng.permutation(500_000)[:73_000] + 73_001
    split = np.where(np.arange(73_000) % 6 == 0, "val2017", "train2017")
    path = root / "nsddata/experiments/nsd/nsd_stim_info_merged.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = ["", "cocoId", "cocoSplit", "cropBox", "loss", "nsdId", "flagged", "BOLD5000", "shared1000"]
    head += [f"subject{s}" for s in range(1, 9)] + [
        f"subject{s}_rep{r}" for s in range(1, 9) for r in range(3)
    ]
    rest = "False,False,False," + ",".join(["0"] * 32)
    lines = [f'{i},{coco[i]},{split[i]},"(0.0, 0.0, 0.1, 0.1)",0.25,{i},{rest}' for i in range(73_000)]
    path.write_text("\n".join([",".join(head), *lines]) + "\n")
    found: dict[str, list[str]] = {}
    notes: dict[str, list[dict[str, Any]]] = {"train2017": [], "val2017": []}
    for k in range(5):
        for i in pictures:
            text = f"caption {k} of picture {i}"
            found.setdefault(f"nsd_{i:05d}", []).append(text)
            # COCO's captions hold line breaks and double spaces.
            said = {"id": 10 * i + k, "image_id": int(coco[i]), "caption": text.replace(" of", "  of") + "\n"}
            notes[split[i]].append(said)
            # The number of a picture of NSD, as a picture of COCO.
            notes[split[i]].append(
                {"id": 9_000_000 + 10 * i + k, "image_id": i, "caption": "another picture"}
            )
    folder = root / "nsddata_stimuli/stimuli/nsd/annotations"
    folder.mkdir(parents=True, exist_ok=True)
    for name, several in notes.items():
        content = {"info": {}, "licenses": [], "images": [], "annotations": several}
        (folder / f"captions_{name}.json").write_text(json.dumps(content))
    return found

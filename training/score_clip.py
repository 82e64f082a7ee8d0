"""Score the miniature CLIP: captions found for pictures, concepts it never saw, and what its blocks tell linearly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from score_table import Score, explained, mean, proportion

from neurodecode import vision
from neurodecode.datasets.lab import captions, icons, pictures
from neurodecode.vision._backends import open_clip, transformers

MODEL = "clip"
GALLERY = 100
GALLERIES = 20
HARD = 200  # pictures with captions that differ in the concept alone
SHOTS = 10  # pictures a novel concept is known by, where no caption is used
TRAIN, TEST = 100, 5  # pictures a concept for the linear read-outs
ALPHAS = (30.0, 300.0, 3000.0, 30000.0)
BLOCKS = tuple(range(1, 13))
SHALLOW = (2, 3, 4, 5, 6)
CENTRE_WANTED, RETRIEVAL_WANTED = 0.9, 0.8


class Towers:
    """Both towers of the shipped model: pictures and captions to embeddings of length 1."""

    def __init__(self, folder: Path) -> None:
        self.model = open_clip().create_model(f"local-dir:{folder / 'clip'}").float().eval()
        self.tokenizer = transformers().CLIPTokenizer.from_pretrained(folder / "diffusion" / "tokenizer")
        said = self.model.visual.preprocess_cfg
        self.mean, self.std = (torch.tensor(said[k])[:, None, None] for k in ("mean", "std"))

    @torch.no_grad()
    def images(self, scenes: pictures.Scenes) -> np.ndarray:
        pixels = torch.from_numpy(pictures.render(scenes)).permute(0, 3, 1, 2)
        parts = ((pixels - self.mean) / self.std).split(250)
        return torch.cat([self.model.encode_image(p, normalize=True) for p in parts]).numpy()

    @torch.no_grad()
    def texts(self, texts: list[str]) -> np.ndarray:
        tokens = self.tokenizer(
            texts, padding="max_length", max_length=captions.TOKENS, return_tensors="pt"
        ).input_ids
        return torch.cat([self.model.encode_text(t, normalize=True) for t in tokens.split(500)]).numpy()


def score(folder: Path, *, seed: int, share: float) -> tuple[list[Score], dict]:
    """Score the towers in ``folder``; ``share`` of the full number of pictures. Also the read-outs by block."""
    towers = Towers(folder)
    rng = np.random.default_rng([seed, 1])
    rows = known(towers, rng, share) + novel(towers, rng, share)
    curves = readouts(rng, share)
    kept = {k: v for k, v in curves.items() if k != "named"}
    return rows + hierarchy(curves), {"readouts": kept}


# ------------------------------------------------------------------------------------------ captions
def known(towers: Towers, rng: np.random.Generator, share: float) -> list[Score]:
    """Retrieval for known concepts in the colours held out from training."""
    galleries, n = _some(GALLERIES, share), len(icons.concepts())
    every = [rng.permutation(n)[:GALLERY] for _ in range(galleries)]
    full, bare = (np.concatenate([found(towers, rng, g, wording=w) for g in every]) for w in (0, 2))
    scenes = pictures.draw(rng.integers(0, n, _some(HARD, share)), rng, combinations="held-out")
    hard = same_attributes(towers, rng, scenes, np.arange(n), GALLERY)
    said = {"chance": 1 / GALLERY}
    return [
        proportion(MODEL, f"full caption among {GALLERY}", full, **said, wanted=RETRIEVAL_WANTED),
        proportion(MODEL, f'"a picture of a ..." among {GALLERY}', bare, **said, wanted=RETRIEVAL_WANTED),
        proportion(MODEL, f"full caption among {GALLERY} that differ in the concept alone", hard, **said),
        proportion(
            MODEL,
            "group, from captions of its members, known concepts",
            by_members(towers, scenes),
            chance=0.1,
        ),
    ]


def novel(towers: Towers, rng: np.random.Generator, share: float) -> list[Score]:
    """The same for concepts that no model was trained on, and what carries over from the known ones."""
    first, n = len(icons.concepts()), len(icons.novel_concepts())
    concepts = first + np.arange(n)
    galleries = _some(GALLERIES, share)
    full, bare = (
        np.concatenate(
            [found(towers, rng, concepts, wording=w, combinations="all") for _ in range(galleries)]
        )
        for w in (0, 2)
    )
    scenes = pictures.draw(np.tile(concepts, galleries), rng)
    hard = same_attributes(towers, rng, scenes, concepts, n)
    chance, groups = 1 / n, 1 / len(icons.GROUPS)
    return [
        proportion(MODEL, f"novel concepts: full caption among {n}", full, chance=chance),
        proportion(MODEL, f'novel concepts: "a picture of a ..." among {n}', bare, chance=chance),
        proportion(MODEL, f"novel concepts: full caption among {n}, all else equal", hard, chance=chance),
        proportion(
            MODEL, "novel concepts: group word in the caption", by_group_word(towers, scenes), chance=groups
        ),
        proportion(
            MODEL,
            "novel concepts: group, from captions of its members",
            by_members(towers, scenes),
            chance=groups,
        ),
        proportion(
            MODEL,
            f"novel concepts: nearest mean of {SHOTS} pictures, no captions",
            by_examples(towers, rng, scenes, concepts),
            chance=chance,
        ),
    ]


def found(
    towers: Towers,
    rng: np.random.Generator,
    concepts: np.ndarray,
    *,
    wording: int,
    combinations: str = "held-out",
) -> np.ndarray:
    """Whether the nearest of the captions of all pictures of a gallery is a picture's own."""
    scenes = pictures.draw(concepts, rng, combinations=combinations)
    similar = towers.images(scenes) @ towers.texts(captions.write(scenes, wording)).T
    return similar.argmax(axis=1) == np.arange(len(concepts))


def same_attributes(
    towers: Towers, rng: np.random.Generator, scenes: pictures.Scenes, concepts: np.ndarray, among: int
) -> np.ndarray:
    """Whether a picture's full caption is nearest among captions with the concept exchanged and all else equal."""
    images = towers.images(scenes)
    hits = []
    for i, image in enumerate(images):
        others = rng.permutation(concepts[concepts != scenes.concept[i]])[: among - 1]
        offered = np.concatenate([scenes.concept[i : i + 1], others])
        changed = replace(scenes.take(np.full(among, i)), concept=offered)
        hits.append((towers.texts(captions.write(changed)) @ image).argmax() == 0)
    return np.array(hits)


def by_group_word(towers: Towers, scenes: pictures.Scenes) -> np.ndarray:
    """Whether "a red animal : a ..." is nearest among such captions with the group word exchanged."""
    own = np.array([_group(c) for c in scenes.concept])
    texts = captions.write(scenes, 4)
    versions = [
        [text.replace(f" {icons.GROUPS[g]} : ", f" {other} : ") for text, g in zip(texts, own, strict=True)]
        for other in icons.GROUPS
    ]
    embedded = np.stack([towers.texts(v) for v in versions], axis=1)
    return np.einsum("nd,ngd->ng", towers.images(scenes), embedded).argmax(axis=1) == own


def by_members(towers: Towers, scenes: pictures.Scenes) -> np.ndarray:
    """Whether the nearest group is the picture's own: a group is its known concepts' bare captions, averaged."""
    names = icons.concepts()
    embedded = towers.texts([f"a picture of a {name}" for name in names])
    # The picture's own concept is left out, or the known ones would be found by name.
    similar = towers.images(scenes) @ embedded.T
    similar[scenes.concept[:, None] == np.arange(len(names))] = np.nan
    groups = np.array([_group(c) for c in range(len(names))])
    means = np.stack([np.nanmean(similar[:, groups == g], axis=1) for g in range(len(icons.GROUPS))], axis=1)
    return means.argmax(axis=1) == np.array([_group(c) for c in scenes.concept])


def by_examples(
    towers: Towers, rng: np.random.Generator, scenes: pictures.Scenes, concepts: np.ndarray
) -> np.ndarray:
    """Whether the nearest mean embedding of other pictures of a concept is the picture's own."""
    shown = towers.images(pictures.draw(np.repeat(concepts, SHOTS), rng))
    means = shown.reshape(len(concepts), SHOTS, -1).mean(axis=1)
    means -= means.mean(axis=0)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return concepts[(towers.images(scenes) @ means.T).argmax(axis=1)] == scenes.concept


def _group(concept: int) -> int:
    return icons.GROUPS.index(icons.group_of((icons.concepts() + icons.novel_concepts())[concept]))


def _some(n: int, share: float) -> int:
    return max(1, round(n * share))


# ------------------------------------------------------------------------------------------ read-outs
def readouts(rng: np.random.Generator, share: float) -> dict[str, list]:
    """Ridge from all tokens of each block to centre, size, concept and colour; tested in held-out colours.

    The penalty is chosen on a quarter of the training pictures, for each target by itself. Returns a list over blocks
    of (value, low, high) for every target, and for ``named`` the tested pictures whose concept was right.
    """
    every = np.arange(len(icons.concepts()))
    train = pictures.draw(np.tile(every, _some(TRAIN, share)), rng, combinations="known")
    test = pictures.draw(np.tile(every, _some(TEST, share)), rng, combinations="held-out")
    layers = [f"Linear-{k}" for k in BLOCKS]
    encoder = vision.load("lab")
    seen, unseen = (_features(encoder, scenes, layers) for scenes in (train, test))
    truth = targets(test)
    out: dict[str, list] = {k: [] for k in ("centre", "size", "concept", "colour", "named")}
    for layer in layers:
        predicted = predict(seen[layer], targets(train), unseen[layer])
        for name, values in predicted.items():
            out[name].append(quality(name, truth[name], values))
        out["named"].append((predicted["concept"].argmax(axis=1) == test.concept).tolist())
    return {"block": list(BLOCKS), **out}


def targets(scenes: pictures.Scenes) -> dict[str, np.ndarray]:
    """What is read out: (n, k) each; concept and colour as indicators."""
    return {
        "centre": np.stack([scenes.x, scenes.y], axis=1),
        "size": scenes.size[:, None],
        "concept": np.eye(len(icons.concepts()))[scenes.concept],
        "colour": np.eye(len(pictures.COLOURS))[scenes.colour],
    }


def quality(name: str, truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float, float]:
    """R2 of centre and size, accuracy of concept and colour, with their intervals."""
    if name in ("centre", "size"):
        return explained(truth, predicted)
    score = proportion(MODEL, name, truth.argmax(axis=1) == predicted.argmax(axis=1))
    return score.value, score.low, score.high


def predict(x: np.ndarray, y: dict[str, np.ndarray], new: np.ndarray) -> dict[str, np.ndarray]:
    """Predict every target of ``y`` for ``new`` (m, p) from ``x`` (n, p) by ridge (scikit-learn's)."""
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(x)
    x, new = scaler.transform(x), scaler.transform(new)
    joint = np.concatenate(list(y.values()), axis=1).astype(np.float32)
    columns = dict(
        zip(
            y,
            np.split(np.arange(joint.shape[1]), np.cumsum([v.shape[1] for v in y.values()])[:-1]),
            strict=True,
        )
    )
    held = np.random.default_rng(0).permutation(len(x)) < len(x) // 4
    best: dict[str, tuple[float, float]] = {}
    for alpha in ALPHAS:
        tried = Ridge(alpha, solver="cholesky").fit(x[~held], joint[~held]).predict(x[held])
        for name, where in columns.items():
            value = quality(name, joint[held][:, where], tried[:, where])[0]
            best[name] = max(best.get(name, (-np.inf, alpha)), (value, alpha))
    fitted = {
        a: Ridge(a, solver="cholesky").fit(x, joint).predict(new) for a in {a for _, a in best.values()}
    }
    return {name: fitted[best[name][1]][:, where] for name, where in columns.items()}


def _features(encoder: vision.Encoder, scenes: pictures.Scenes, layers: list[str]) -> dict[str, np.ndarray]:
    parts = []
    for start in range(0, len(scenes), 250):
        images = pictures.render(scenes.take(slice(start, start + 250)))
        parts.append({k: v.flatten(1).numpy() for k, v in encoder.encode(images, layers).items()})
    return {k: np.concatenate([p[k] for p in parts]) for k in layers}


def hierarchy(curves: dict[str, list]) -> list[Score]:
    """Rows of the table out of the read-outs by block."""
    named = np.array(curves["named"], dtype=float)
    n, chance = named.shape[1], 1 / len(icons.concepts())
    rows = [
        Score(
            MODEL,
            f"centre from Linear-{k}, R2",
            *curves["centre"][k - 1],
            n,
            chance=0.0,
            wanted=CENTRE_WANTED,
        )
        for k in SHALLOW
    ]
    rows += [
        Score(MODEL, f"concept from Linear-{k}", *curves["concept"][k - 1], n, chance=chance)
        for k in (1, 2, 4, 6, 8, 10, 12)
    ]
    return [
        *rows,
        mean(MODEL, "concept, gain from Linear-1 to Linear-12", named[-1] - named[0], chance=0.0),
        mean(MODEL, "concept, gain from Linear-6 to Linear-12", named[-1] - named[5], chance=0.0),
    ]

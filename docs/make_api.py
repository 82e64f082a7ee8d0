"""Write one page per public module, filled by autodoc from the docstrings."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

# In the order of the house's floors. A module that does not exist yet gets no page.
MODULES = {
    "brain": "labelled brain data",
    "folds": "splits and the leakage guard",
    "prepare": "what is fitted on training data only",
    "score": "accuracies",
    "labels": "what is checked, and in which words",
    "linear": "ridge decoders and encoders",
    "retrieval": "zero-shot identification",
    "ceilings": "noise ceilings from repeats",
    "encoding": "encoders, best layers, shares of variance",
    "spatial": "per region, on the cortex",
    "temporal": "per time window",
    "selection": "which feature dimensions to trust",
    "vision": "features of pictures and captions",
    "metrics": "image metrics by named protocol",
    "reconstruction": "pictures from decoders",
    "pipeline": "from responses to scored pictures",
    "inference": "permutations, clusters, latencies, groups, comparisons, mixed models",
    "rsa": "representational similarity, by rsatoolbox",
    "plot": "figures",
    "datasets": "data sets",
    "datasets.lab": "simulated recordings with a known truth",
    "datasets.lab.referee": "the judge of pictures",
    "datasets.bids": "any dataset in BIDS",
    "datasets.own": "runs and epochs of one's own",
    "datasets.haxby": "fMRI, Haxby et al. 2001",
    "datasets.nsd": "the Natural Scenes Dataset, betas of single trials",
    "datasets.things_eeg": "THINGS-EEG2, preprocessed and raw",
    "datasets.kamitani": "BData of the Kamitani lab",
    "datasets.things_meg": "THINGS-MEG, preprocessed and raw",
    "datasets.stimuli": "pictures that were shown, and words for them",
    "datasets.prepared": "from single trials to what is decoded",
    "datasets.resting": "a real resting state, to plant effects in",
    "datasets.eeg_pictures": "EEG after line drawings",
    "datasets.eeg_n170": "EEG of faces and houses",
    "store": "results on disk",
    "methods": "how a result was made, for a paper",
    "report": "one page of a run",
}

PAGE = """# neurodecode.{module}: {title}

```{{eval-rst}}
.. automodule:: neurodecode.{module}
   :members:{inherited}
```
"""

INHERITED = """
   :inherited-members: BaseEstimator, RegressorMixin, MultiOutputMixin"""

INDEX = """# Reference

One page per public module, made from the docstrings.

```{{toctree}}
:maxdepth: 1

{pages}
```
"""


def write(folder: Path) -> list[str]:
    """Write ``folder`` anew and return the modules that have a page."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = [name for name in MODULES if _exists(f"neurodecode.{name}")]
    for name in found:
        # .predict, .score and .weights_ come from a shared base class: show them
        inherited = INHERITED if name == "linear" else ""
        (folder / f"{name}.md").write_text(PAGE.format(module=name, title=MODULES[name], inherited=inherited))
    (folder / "index.md").write_text(INDEX.format(pages="\n".join(found)))
    return found


def _exists(name: str) -> bool:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        return False
    return spec is not None and spec.origin is not None

"""The semantic path of EEG and MEG: classify the concept, say it, and take the words' features for the decoded ones."""

from __future__ import annotations

import xarray as xr

from .. import retrieval
from ..datasets.stimuli import concept_prompts
from ..labels import SAMPLE, STIMULUS
from ..vision import TextEncoder, text_features
from .decoders import Decoder

PROMPT = "a picture of {}"


def concept_features(
    predictions: xr.DataArray,
    centres: xr.DataArray,
    text: TextEncoder,
    *,
    prompt: str = PROMPT,
    metric: str = "correlation",
) -> xr.DataArray:
    """Classify the concept of every prediction and encode "a picture of [concept]" (MindDiffuser 2025, EEG and MEG).

    Parameters
    ----------
    predictions : (sample, feature)
        In a space of image features.
    centres : (stimulus, feature) with ``concept``
        From :func:`neurodecode.retrieval.concept_centres`, in the same space: the concepts that can be guessed.
    text : TextEncoder
        Of the generator, from :func:`neurodecode.vision.load_text`.
    prompt : str
        With {} for the concept, see :func:`neurodecode.datasets.stimuli.concept_prompts`.
    metric : see :func:`neurodecode.score.similarity`

    Returns
    -------
    (sample, feature), float32
        Features c as :func:`neurodecode.vision.text_features` labels them, with the sample coordinates of the
        predictions and ``guess``, the concept that was said.

    Raises
    ------
    ValueError
        Another feature space, duplicate centres, concepts that are no words.
    """
    return _worded(predictions, centres, _spoken(centres, text, prompt), metric)


class ByConcept:
    """A decoder of c that names the concept: it takes the words' features for the decoded ones.

    What is said is one of the centres' concepts, right or wrong; c knows nothing of size, place or colour.

    Parameters
    ----------
    decoder : anything with ``predict``
        Of image features.
    centres, text, prompt, metric : see :func:`concept_features`
    """

    def __init__(
        self,
        decoder: Decoder,
        centres: xr.DataArray,
        text: TextEncoder,
        *,
        prompt: str = PROMPT,
        metric: str = "correlation",
    ) -> None:
        self.decoder, self.centres, self.metric = decoder, centres, metric
        self.said = _spoken(centres, text, prompt)

    def predict(self, responses: xr.DataArray) -> xr.DataArray:
        """Decode, classify, and return the features c (sample, feature) of what is said."""
        return _worded(self.decoder.predict(responses), self.centres, self.said, self.metric)


def _spoken(centres: xr.DataArray, text: TextEncoder, prompt: str) -> xr.DataArray:
    """Features c of the prompt of every concept (stimulus, feature)."""
    return text_features(concept_prompts(centres, prompt=prompt), text, progress=False)


def _worded(
    predictions: xr.DataArray, centres: xr.DataArray, said: xr.DataArray, metric: str
) -> xr.DataArray:
    """What is said of the concept of every prediction (sample, feature)."""
    guess = retrieval.classify(predictions, centres, metric=metric)
    # Prompts go by the text of a concept's name.
    rows = said.indexes[STIMULUS].get_indexer(guess.values.astype(str))
    c = said.isel({STIMULUS: xr.DataArray(rows, dims=SAMPLE)}).drop_vars(STIMULUS)
    return c.assign_coords({**guess.coords, "guess": (SAMPLE, guess.values)})

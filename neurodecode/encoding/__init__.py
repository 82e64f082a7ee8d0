"""Floor 3: what predicts the responses. Encoders per feature space, best layers, shares of explained variance.

An encoder is any estimator with ``fit(features, responses)`` and ``predict(features)`` of labelled arrays, such as
:class:`neurodecode.RidgeEncoder`. Everything here is scored on samples that no fit has seen.
"""

from .layers import best_layer
from .scores import score
from .shares import partition

__all__ = ["best_layer", "partition", "score"]

"""Floor 2: ridge decoders and encoders of labelled arrays, by scikit-learn's conventions.

An estimator knows labels and no linear algebra: it checks, unfolds arrays to matrices, calls
:func:`neurodecode.solve.fit_ridge` (with bands :mod:`neurodecode.solve.banded`), and puts the labels back.
"""

from .decoder import RidgeDecoder
from .encoder import RidgeEncoder

__all__ = ["RidgeDecoder", "RidgeEncoder"]

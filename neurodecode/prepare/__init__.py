"""Floor 1: what is fitted on training data only: z-scores, noise normalisation, principal components.

All three follow scikit-learn's conventions and take and give labelled arrays. They learn from what is passed to
``fit`` and from nothing else; ``transform`` treats every row by itself, so no row of a test set can change another.
"""

from neurodecode.prepare.mvnn import MVNN
from neurodecode.prepare.pca import FeaturePCA
from neurodecode.prepare.zscore import ZScore, zscore_with_test_statistics

__all__ = ["MVNN", "FeaturePCA", "ZScore", "zscore_with_test_statistics"]

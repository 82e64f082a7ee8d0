"""Floor 0: linear algebra. Arrays in, arrays out; nothing here knows a label."""

from .fit import Beside, Fitted, Settings, fit_ridge
from .gram import cross, gram
from .ridge import ridge_weights
from .selected import most_correlated
from .streamed import Streamed

__all__ = [
    "Beside",
    "Fitted",
    "Settings",
    "Streamed",
    "cross",
    "fit_ridge",
    "gram",
    "most_correlated",
    "ridge_weights",
]

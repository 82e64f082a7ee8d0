"""Small folders in the layouts in which datasets are published, filled with numbers that say where they belong."""

from ._bdata import *  # noqa: F403
from ._bids import *  # noqa: F403
from ._faults import *  # noqa: F403
from ._nsd import *  # noqa: F403
from ._stimuli import *  # noqa: F403
from ._things_eeg import *  # noqa: F403
from ._things_meg import *  # noqa: F403

"""Settings for recordings of a few hundred trials, for which the published ones were not made."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..labels import require_choice
from .architectures import ARCHITECTURES
from .decoder import NetworkDecoder

# Loss, and the SDs of noise that is added to training batches.
BEST: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        "temporal_spatial": ("mse", 2.0),
        "nice": ("cosine", 2.0),
        "eegnet": ("mse", 2.0),
        "atm": ("cosine", 2.0),
        "benchetrit": ("mse", 2.0),
        "mlp": ("mse", 2.0),
        "transformer": ("mse", 2.0),
    }
)


def few_trials(architecture: str) -> NetworkDecoder:
    """Return an unfitted small network with settings for a few hundred trials.

    Loss and noise of each network are those that told training trials of concepts that were held out apart best, in the
    simulated EEG of two subjects (400 trials each): see ``analyses/network_settings.py``. Learning rate, batch and
    patience were found by hand on such trials; none of it on test trials. NICE and ATM were published with
    ``loss="infonce"`` for 66,000 trials. Change what you like by ``set_params``, as of every scikit-learn estimator.

    Parameters
    ----------
    architecture : one of ``ARCHITECTURES``

    Raises
    ------
    ValueError
        For another name, listing those that there are.

    Examples
    --------
    >>> import neurodecode as nd
    >>> nd.networks.few_trials("mlp").set_params(size="full").loss
    'mse'
    """
    require_choice(architecture, ARCHITECTURES, what="architecture")
    loss, noise = BEST[architecture]
    return NetworkDecoder(
        architecture,
        size="small",
        loss=loss,
        epochs=60,
        batch=32,
        patience=10,
        learning_rate=1e-3,
        augment={"noise": noise} if noise else None,
    )

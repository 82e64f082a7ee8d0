"""Floor 2: neural networks as decoders of labelled arrays, with the same ``fit``, ``predict`` and ``score`` as ridge.

Networks for EEG and MEG as they were published (NICE, EEGNet, ATM, the regressor of Benchetrit et al., the
temporal-spatial convolution), and a plain MLP and Transformer for these and for fMRI. torch is loaded when the first
network is built.

>>> import neurodecode as nd
>>> nd.networks.NetworkDecoder("eegnet", epochs=20).architecture
'eegnet'
"""

from .architectures import ARCHITECTURES, NAMES, SIZES, layers
from .decoder import NetworkDecoder
from .few_trials import few_trials
from .losses import LOSSES
from .trainer import RECIPE

__all__ = ["ARCHITECTURES", "LOSSES", "NAMES", "RECIPE", "SIZES", "NetworkDecoder", "few_trials", "layers"]

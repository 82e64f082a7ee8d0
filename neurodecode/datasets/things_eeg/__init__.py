"""THINGS-EEG2: EEG of ten subjects who saw 16,740 pictures of objects in rapid succession (Gifford et al. 2022).

Source: Gifford, Dwivedi, Roig & Cichy 2022, NeuroImage 264: 119754; OSF 3jk45 (pictures y63gw, preprocessed EEG anp5v),
licence CC BY 4.0; raw recordings also under doi 10.25452/figshare.plus.18470912. Nothing is downloaded.

:func:`load` gives epochs that others have preprocessed, :func:`raw` makes them from the recordings, :func:`inventory`
says what is there. What the files hold, and who says so:

- ``sub-XX/preprocessed_eeg_training.npy`` and ``..._test.npy``: a dictionary of ``preprocessed_eeg_data`` (picture,
  repeat, channel, time), ``ch_names`` and ``times``; row i is picture i + 1 of ``image_metadata.npy``, repeats of four
  sessions lie side by side in an order that was shuffled once (save_prepr in the authors' repository
  gifale95/eeg_encoding, 02_eeg_preprocessing/preprocessing_utils.py). 17 channels at 100 Hz: 16,540 x 4 and 200 x 80.
- A copy with 63 channels at 250 Hz (folder ``Preprocessed_data_250Hz``, of the NICE project, eeyhsong/NICE-EEG) has the
  same names; its data were cut to the time from onset, while ``times`` still begins at -0.2 s.
- ``processed/sub-XX/preprocessed_eeg_training_sub-XX.npy`` (session, picture of the session, repeat, channel, time),
  ``img_conditions_training_sub-XX.npy`` (session, picture) with numbers from 1, ``meta_sub-XX.json`` with ``ch_names``
  and ``times``: made by the package things-eeg2-dataset, release 0.0.6. Plain arrays, read from disk as needed.
- ``image_metadata.npy``: ``train_img_concepts``, ``train_img_files``, ``test_img_concepts``, ``test_img_files``;
  concepts are numbered within training and test by themselves, so that "00002_abacus" of one and "00002_antelope" of
  the other differ (osf.io/y63gw, wiki). Here a concept is the name without its number.

Raw recordings, of which the authors' own steps make the 17-channel epochs:

- ``raw_data/sub-XX/ses-YY/raw_eeg_training.npy`` and ``..._test.npy``: a dictionary of ``raw_eeg_data`` (channel,
  sample), ``ch_names``, ``ch_types`` (63 "eeg" and, last, one "stim"), ``sfreq`` 1000, ``highpass`` 0.01, ``lowpass``
  100. The stim channel holds the picture's number at its onset, 99999 for a target, else 0. The five files of a
  session's training are joined, and nothing marks the joins (gifale95/eeg_encoding,
  01_eeg_preprocessing/source_to_raw.py).
- ``source_data/sub-XX/ses-YY/eeg/sub-XX_ses-YY_task-train_part-01_eeg.vhdr`` to ``part-05``, ``..._task-test...``:
  BrainVision, read here where there is no ``raw_data``. Triggers do not name training pictures; the n-th one
  belongs to the n-th of ``data.images.tot_img_number`` in ``beh/..._beh.mat``, 0 for a target (the same
  script; 00_data_collection/train/data_collection_train.m for the names). Each file is filtered by itself, so
  epochs near the joins differ a little from those of ``raw_data``, which are filtered across them.
- A session shows half of the training pictures twice and all test pictures 20 times, and some of them more often
  (170 and 56 trials, computed from data_collection_*.m); the authors keep 2 and 20 (preprocessing_utils.py).
- The authors do not filter: they cut -0.2 to 0.8 s, take away the mean before onset and resample to 100 Hz. :func:`raw`
  filters before, as is done in later work; ``band=None`` leaves that out.

Unverified: no original file was read. Volts follow from how the script reads BrainVision (mne); nothing printed says
so, nor what the online reference was. That the part of the .mat file with the numbers is called ``images`` follows from
the program that wrote it.

The published files are whitened (multivariate noise normalisation). The authors' code averages the covariance of the
training and the test partition (mvnn in the same file): a leak, if a small one, that no loader can undo.
"""

from __future__ import annotations

from .checklist import inventory
from .layout import POSTERIOR, SOURCE
from .names import pictures
from .preprocessed import load
from .sessions import MOST, raw

__all__ = ["MOST", "POSTERIOR", "SOURCE", "inventory", "load", "pictures", "raw"]

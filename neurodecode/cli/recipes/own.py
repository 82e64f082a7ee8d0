"""Data of one's own: BIDS folders, epochs that mne saved; and Haxby's subjects as nilearn leaves them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._recipe import Recipe, add_band, add_baseline, add_files, add_window

if TYPE_CHECKING:
    import xarray as xr

    from ...datasets._inventory import Item


def _bids_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, required=True, metavar="FOLDER", help="the dataset's folder")
    parser.add_argument("--subject", required=True, metavar="LABEL", help="with or without sub-")
    parser.add_argument("--task", required=True, metavar="LABEL", help="with or without task-")
    parser.add_argument("--stimulus", default="stim_file", metavar="COLUMN", help="of events.tsv")
    parser.add_argument("--sessions", nargs="+", metavar="LABEL", help="just these; all")
    parser.add_argument("--runs", nargs="+", metavar="LABEL", help="just these; all")
    parser.add_argument("--columns", nargs="+", default=[], metavar="COLUMN", help="further ones to keep")


def _fmri_options(parser: argparse.ArgumentParser) -> None:
    _bids_options(parser)
    parser.add_argument("--space", metavar="NAME", help="of the preprocessed volumes, if there are several")
    parser.add_argument(
        "--mask", type=Path, metavar="IMAGE", help="voxels to take; by default fMRIPrep's brain masks"
    )
    parser.add_argument("--atlas", type=Path, metavar="IMAGE", help="regions as numbers, on the same grid")
    parser.add_argument(
        "--region", nargs=2, action="append", metavar=("NUMBER", "NAME"), help="of --atlas; once for each"
    )
    add_window(parser, default=(4.0, 8.0), what="whose volumes are averaged, in seconds from onset")
    parser.add_argument("--detrend", type=int, default=1, metavar="DEGREE", help="0 for none")
    parser.add_argument("--standardise", action="store_true", help="divide by the SD of each run")


def _bids_inventory(args: argparse.Namespace, *, of: str, space: str | None = None) -> list[Item]:
    from ...datasets import bids

    return bids.inventory(
        args.root,
        subject=args.subject,
        task=args.task,
        of=of,
        session=args.sessions,
        run=args.runs,
        space=space,
    )


def _fmri_inventory(args: argparse.Namespace) -> list[Item]:
    return _bids_inventory(args, of="fmri", space=args.space)


def _fmri_load(args: argparse.Namespace) -> xr.DataArray:
    from ...datasets import bids

    if (args.atlas is None) != (args.region is None):
        raise ValueError("--atlas IMAGE and --region NUMBER NAME go together")
    return bids.fmri(
        args.root,
        subject=args.subject,
        task=args.task,
        stimulus=args.stimulus,
        session=args.sessions,
        run=args.runs,
        space=args.space,
        mask=args.mask,
        roi=None if args.atlas is None else (args.atlas, {int(k): name for k, name in args.region}),
        columns=args.columns,
        window=tuple(args.window),
        detrend=args.detrend or None,
        standardise=args.standardise,
    )


def _meeg_options(parser: argparse.ArgumentParser) -> None:
    _bids_options(parser)
    parser.add_argument("--datatype", choices=("eeg", "meg"), help="if the subject has both")
    parser.add_argument("--channels", nargs="+", metavar="NAME", help="names, or a kind: eeg, mag, grad")
    add_window(parser, default=(-0.2, 0.8), what="of an epoch, in seconds from onset")
    add_band(parser, default=None)
    parser.add_argument("--rate", type=float, metavar="HZ", help="after resampling")
    add_baseline(parser, default=None)


def _meeg_inventory(args: argparse.Namespace) -> list[Item]:
    return _bids_inventory(args, of=args.datatype or "meeg")


def _meeg_load(args: argparse.Namespace) -> xr.DataArray:
    from ...datasets import bids

    channels: Any = args.channels
    if channels is not None and len(channels) == 1 and channels[0] in ("eeg", "mag", "grad"):
        channels = channels[0]
    return bids.meeg(
        args.root,
        subject=args.subject,
        task=args.task,
        stimulus=args.stimulus,
        session=args.sessions,
        run=args.runs,
        datatype=args.datatype,
        columns=args.columns,
        channels=channels,
        window=tuple(args.window),
        band=_pair(args.band),
        rate=args.rate,
        baseline=_pair(args.baseline),
    )


def _pair(given: list[float] | None) -> Any:
    return None if given is None else tuple(given)


def _epochs_options(parser: argparse.ArgumentParser) -> None:
    add_files(parser, what="one subject's -epo.fif files, one a session or run")
    parser.add_argument("--subject", metavar="NAME", help="as it is to be called")
    parser.add_argument("--channels", nargs="+", metavar="NAME", help="just these; all good ones")


def _epochs_inventory(args: argparse.Namespace) -> list[Item]:
    from ...datasets._files import Source
    from ...datasets._inventory import item

    return [item(path, what="epochs", source=Source("your recordings", "")) for path in args.files]


def _epochs_load(args: argparse.Namespace) -> xr.DataArray:
    from ...datasets import own

    return own.epochs(args.files, subject=args.subject, channels=args.channels)


def _haxby_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root", type=Path, required=True, metavar="FOLDER", help="with haxby2001, or the slice of PyMVPA"
    )
    parser.add_argument(
        "--subject", type=int, metavar="N", help="1 to 6; leave it out for the slice of PyMVPA"
    )
    parser.add_argument("--mask", default="vt", metavar="NAME", help="vt, face, house ...")
    parser.add_argument("--blocks", action="store_true", help="means of blocks, one a category and run")


def _haxby_inventory(args: argparse.Namespace) -> list[Item]:
    from ...datasets import haxby

    return haxby.inventory(args.root, subject=args.subject, mask=args.mask)


def _haxby_load(args: argparse.Namespace) -> xr.DataArray:
    from ... import brain
    from ...datasets import haxby

    volumes = haxby.load(args.root, subject=args.subject, mask=args.mask)
    return brain.average_repeats(volumes, by=("stimulus", "run")) if args.blocks else volumes


BIDS_FMRI = Recipe(
    "fMRI of any BIDS dataset: one sample an event",
    "Means of volumes in a window after onset, of fMRIPrep's volumes where they are there. Example:\n\n"
    "  neurodecode prepare bids-fmri --root ds001246 --subject 01 --task perception --stimulus stimulus_name \\\n"
    "      --out sub-01.zarr",
    _fmri_options,
    _fmri_inventory,
    _fmri_load,
)

BIDS_MEEG = Recipe(
    "EEG or MEG of any BIDS dataset: one epoch an event",
    "Needs mne-bids (the extra 'bids'). Example:\n\n"
    "  neurodecode prepare bids-meeg --root ds000117 --subject 01 --task facerecognition --channels grad \\\n"
    "      --band 0.1 40 --rate 200 --baseline -0.2 0 --out sub-01.zarr",
    _meeg_options,
    _meeg_inventory,
    _meeg_load,
)

EPOCHS = Recipe(
    "epochs that mne saved, of one subject",
    "Example:\n\n  neurodecode prepare epochs --files sub-01_ses-*-epo.fif --subject sub-01 --out sub-01.zarr",
    _epochs_options,
    _epochs_inventory,
    _epochs_load,
)

HAXBY = Recipe(
    "Haxby et al. 2001, as nilearn fetches it or as PyMVPA's slice",
    "Example:\n\n  neurodecode prepare haxby --root nilearn_data --subject 2 --blocks --out sub-02.zarr",
    _haxby_options,
    _haxby_inventory,
    _haxby_load,
)

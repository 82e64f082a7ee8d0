"""Top: where the command and the scripts in analyses/ get their data: the embedded lab, or files of the user's own."""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from . import store
from .labels import listed, require_choice
from .lazy import has_dask
from .store.folders import is_blocks, require_undamaged

MODALITIES = ("fmri", "eeg", "meg")
SIZES = ("small", "full")
# How many subjects of the embedded lab an analysis takes unless told otherwise.
LAB_SUBJECTS = {"fmri": 4, "eeg": 10, "meg": 4}

# Share of the free memory from which on prepared data stay on disk.
IN_MEMORY = 0.25


@dataclass(frozen=True)
class Inputs:
    """Responses by subject, feature spaces by name; of simulated data the truth, and trials that were averaged."""

    responses: Mapping[str, xr.DataArray]
    features: Mapping[str, xr.DataArray]
    truth: Mapping[str, xr.Dataset]
    trials: Mapping[str, xr.DataArray] = field(default_factory=dict)

    @property
    def simulated(self) -> bool:
        """Whether the data came from the embedded lab, now or through a file."""
        said = [responses.attrs.get("origin") for responses in self.responses.values()]
        return bool(self.truth) or "simulated" in said


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --responses, --features, and what the lab simulates: --modality, --subjects, --size, --seed."""
    parser.add_argument(
        "--responses",
        nargs="+",
        default=["lab"],
        metavar="FILE",
        help="responses, one file a subject: netCDF written by neurodecode.save, a zarr folder written by neurodecode "
        "prepare, or mne epochs (-epo.fif); "
        "'lab' (default) simulates them",
    )
    parser.add_argument(
        "--features",
        nargs="+",
        default=[],
        metavar="FILE",
        help="stimulus features (stimulus, feature) written by neurodecode.save, for --responses from files; several "
        "files are several spaces, named by file",
    )
    parser.add_argument("--modality", choices=MODALITIES, default="fmri", help="what the lab simulates")
    parser.add_argument("--subjects", type=int, metavar="N", help="how many subjects the lab simulates")
    parser.add_argument("--size", choices=SIZES, default="small", help="how much the lab simulates")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the lab and of permutations")


def arguments(question: str | None, *, modality: str, subjects: int | None = None) -> argparse.Namespace:
    """Parse the command line of a script in analyses/: where the data are, and ``--out``, a folder that is made.

    ``question`` is the script's docstring; ``modality`` and ``subjects`` are what the lab simulates by default.
    """
    parser = argparse.ArgumentParser(
        description=question, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.set_defaults(modality=modality, subjects=subjects)
    return parsed(parser)


def lab_or_haxby(question: str | None, *, subjects: int, seed: str) -> argparse.ArgumentParser:
    """Begin the command line of a script that takes the lab's fMRI or the Haxby slice.

    It has ``--haxby``, and of the lab ``--subjects`` (by default so many), ``--size`` and ``--seed``, which is of
    what ``seed`` says.
    """
    parser = argparse.ArgumentParser(
        description=question, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--haxby", type=Path, metavar="FOLDER", help="the slice's folder, instead of the lab")
    parser.add_argument(
        "--subjects", type=int, default=subjects, metavar="N", help="how many the lab simulates"
    )
    parser.add_argument("--size", choices=SIZES, default="small", help="how much the lab simulates")
    parser.add_argument("--seed", type=int, default=0, help=f"of {seed}")
    return parser


def write_lab_or_haxby(result: xr.Dataset, what: str, args: argparse.Namespace) -> None:
    """Stamp a result of such a script with its settings and save it, named by what it is of."""
    of_lab = args.haxby is None
    stated = {k: v for k, v in vars(args).items() if k not in ("out", "haxby")}
    stamped = store.stamp(result, what=what, parameters=stated, seed=args.seed)
    path = args.out / f"{what}_{'lab' if of_lab else 'haxby'}.nc"
    store.save(store.with_warnings(stamped.assign_attrs(simulated=of_lab)), path, overwrite=True)
    print(f"wrote {path}")


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Add ``--out``, parse the command line, make that folder, and note the warnings of the run from here on."""
    store.watch()
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the result files")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def code_of(script: str | Path) -> str:
    """Hash of what a script does, with its settings, whatever its comments and layout: so that kept pieces are its own.

    Of the library's calls in it the version says what they do; it belongs into a key beside this.
    """
    tree = ast.parse(Path(script).read_text(encoding="utf-8"))
    return store.data_hash(np.array([ast.dump(tree)]))


def figure_arguments(
    what: str | None, *, kind: Sequence[str] = (), engine: Sequence[str] = ()
) -> argparse.Namespace:
    """Parse the command line of a script in figures/: the result file, ``--out``, and choices that it offers."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="result file of the analysis of the same name")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the PNG and the PDF")
    for name, choices in (("--kind", kind), ("--engine", engine)):
        if choices:
            parser.add_argument(name, choices=choices, default=choices[0])
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def load_result(path: Path) -> xr.Dataset:
    """Load a result file as a Dataset, whether it holds one array or several."""
    found = store.load(path)
    if isinstance(found, xr.Dataset):
        return found
    return found.to_dataset(name=str(found.name or "score")).assign_attrs(found.attrs)


def load_tested(path: Path) -> xr.Dataset:
    """Load scores with the tests that figures show; bare ones, as the command writes them, the library tests now."""
    found = load_result(path)
    if "significant" in found or "score" not in found:
        return found
    from .inference import with_tests

    return with_tests(found["score"].assign_attrs(found.attrs))


def write(result: xr.DataArray | xr.Dataset, data: Inputs, path: Path, *, overwrite: bool = True) -> None:
    """Save a result, marked as simulated where the data were, with the run's warnings; an older one is replaced."""
    marked = store.with_warnings(result.assign_attrs(simulated=data.simulated))
    store.save(marked, path, overwrite=overwrite)
    print(f"wrote {path}")


def write_tables(table: xr.Dataset, stem: Path) -> None:
    """Write and print a comparison of metrics: Markdown, LaTeX and CSV beside each other."""
    from .metrics import written

    for form, suffix in {"markdown": "md", "latex": "tex", "csv": "csv"}.items():
        store.write_text(stem.with_name(f"{stem.name}.{suffix}"), written(table, form=form), overwrite=True)
    print(written(table))


def require_target(path: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, a result file that could not be written after it; its folder is made.

    Raises
    ------
    ValueError
        Another ending than .nc.
    OSError
        If the path is a folder, its folder is a file or cannot be made or written to, or if the file exists and
        ``overwrite`` is False.
    """
    if path.is_dir():
        raise IsADirectoryError(f"--out {path} is a folder; add a file name, e.g. {path / 'result.nc'}")
    if path.suffix != ".nc":
        raise ValueError(f"--out {path} must end in .nc, got {path.suffix!r}; e.g. {path.with_suffix('.nc')}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"--out {path} exists already; give --overwrite to replace it, or another name")
    store.require_writable(path.parent, who="--out")
    path.parent.mkdir(parents=True, exist_ok=True)


def titled(title: str, result: xr.DataArray | xr.Dataset) -> str:
    """Add 'simulated' to a figure's title where the result came from simulated data."""
    return f"{title} (simulated)" if result.attrs.get("simulated") else title


def read(args: argparse.Namespace) -> Inputs:
    """Load what the arguments of :func:`add_arguments` name.

    Raises
    ------
    ValueError
        Files of responses without features, features for the lab, files that hold something else, or several files of
        one subject.
    """
    if args.responses == ["lab"]:
        if args.features:
            raise ValueError(
                f"--features {' '.join(map(str, args.features))} would not be used: without --responses FILE the "
                "lab is decoded, which has features of its own; give --responses too, or leave --features out"
            )
        return lab(args.modality, subjects=args.subjects, size=args.size, seed=args.seed)
    if not args.features:
        raise ValueError("responses from files need --features FILE too: a (stimulus, feature) array")
    responses = [responses_from(path) for path in args.responses]
    names = _subjects(responses, args.responses)
    return Inputs(dict(zip(names, responses, strict=True)), features_from(args.features), {})


def _subjects(responses: Sequence[xr.DataArray], paths: Sequence[str]) -> list[str]:
    """Name every file's subject: the one that it says itself, else the file's name, else what tells its path apart."""
    files = [Path(p).resolve() for p in paths]
    said = [str(r.attrs["subject"]) if "subject" in r.attrs else None for r in responses]
    _require_once(list(map(str, files)), paths, "--responses names one file more than once", "name each once")
    _require_once(
        said,
        paths,
        "--responses has several files of one attrs['subject']",
        "they would count as different subjects: join a subject's sessions first, e.g. with xarray.concat(..., "
        "'sample'), or give each its own attrs['subject']",
    )
    return names_apart(files, said)


def names_apart(paths: Sequence[Path], said: Sequence[str | None] = ()) -> list[str]:
    """Name every file by what was said, else by its name, with as many of its folders as tell them all apart."""
    files = [p.resolve() for p in paths]
    known = said or [None] * len(files)
    for depth in range(1, max(len(f.parts) for f in files) + 1):
        names = [n or _tail(f, depth) for n, f in zip(known, files, strict=True)]
        if len(set(names)) == len(names):
            return names
    return [n or str(f) for n, f in zip(known, files, strict=True)]


def _tail(file: Path, depth: int) -> str:
    """Last ``depth`` parts of a path without the file's ending."""
    return "/".join((*file.parts[:-1], file.stem)[-depth:])


def _require_once(names: Sequence[str | None], paths: Sequence[str], what: str, remedy: str) -> None:
    counts = Counter(n for n in names if n is not None)
    for name, count in counts.items():
        if count > 1:
            same = [p for n, p in zip(names, paths, strict=True) if n == name]
            raise ValueError(f"{what}: {name!r} is that of {count} of {len(paths)}, {listed(same)}; {remedy}")


def lab(modality: str, *, subjects: int | None = None, size: str = "small", seed: int = 0) -> Inputs:
    """Simulate several subjects of the embedded lab; fMRI repeats are averaged."""
    from .brain import average_repeats
    from .datasets import lab as embedded

    require_choice(modality, MODALITIES, what="modality")
    count = LAB_SUBJECTS[modality] if subjects is None else subjects
    recordings = [embedded.load(modality, subject=i + 1, size=size, seed=seed) for i in range(count)]
    if not recordings:
        raise ValueError(f"--subjects must be at least 1, got {count}")
    names = [str(r.responses.attrs["subject"]) for r in recordings]
    responses = [average_repeats(r.responses) if modality == "fmri" else r.responses for r in recordings]
    truth = [r.truth for r in recordings]
    trials = [r.responses for r in recordings] if modality == "fmri" else []
    return Inputs(
        dict(zip(names, responses, strict=True)),
        recordings[0].features,
        dict(zip(names, truth, strict=True)),
        dict(zip(names, trials, strict=False)),
    )


def thinned(
    features: Mapping[str, xr.DataArray],
    dimensions: int | None,
    *,
    seed: int = 0,
    without: Sequence[str] = (),
) -> dict[str, xr.DataArray]:
    """Keep a random sample of each space's dimensions, in their order (None: all), and leave out spaces by name."""
    rng = np.random.default_rng([seed, 40])
    kept = {name: space for name, space in features.items() if name not in without}
    if dimensions is None:
        return kept
    return {
        name: space
        if space.sizes["feature"] <= dimensions
        else space.isel(feature=np.sort(rng.choice(space.sizes["feature"], dimensions, replace=False)))
        for name, space in kept.items()
    }


def shallowest(features: Mapping[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """Of spaces that differ by a number only keep the first: of Linear-2 ... Linear-12, Linear-2; the others stay."""
    numbered: dict[str, int] = {}
    for name in features:
        stem, _, number = name.rpartition("-")
        if stem and number.isdigit():
            numbered[stem] = min(int(number), numbered.get(stem, int(number)))
    first = {f"{stem}-{number}" for stem, number in numbered.items()}
    return {
        name: space
        for name, space in features.items()
        if name in first or name.rpartition("-")[0] not in numbered
    }


def responses_from(path: str | Path) -> xr.DataArray:
    """Load responses (sample, ...) from netCDF, or from epochs saved by mne."""
    if str(path).endswith((".fif", ".fif.gz")):
        from .brain import meeg

        return meeg(_epochs(path))
    found = _loaded(path)
    if not isinstance(found, xr.DataArray) or "sample" not in found.dims:
        raise ValueError(
            f"{str(path)!r} holds no responses: a DataArray with the dimension 'sample' is needed, it is "
            f"{type(found).__name__} {tuple(map(str, found.dims))}. Make one with neurodecode.brain.fmri or meeg"
        )
    return found


def _loaded(path: str | Path) -> xr.DataArray | xr.Dataset:
    """Load a file; a large zarr folder stays on disk, and dask reads it in parts."""
    import psutil

    if is_blocks(path) and has_dask():
        lazily = store.open_blocks(path, lazily=True)
        if lazily.nbytes > IN_MEMORY * psutil.virtual_memory().available:
            require_undamaged(path)
            return lazily
    return store.load(path)


def _epochs(path: str | Path) -> Any:
    import mne

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    try:
        return mne.read_epochs(path, verbose="error")
    except MemoryError:
        raise
    except Exception as error:  # mne reports damage as ValueError, OSError, AttributeError ... without order
        raise ValueError(
            f"{str(path)!r} ({Path(path).stat().st_size} bytes) is truncated, damaged or holds no epochs of mne: "
            f"{' '.join(str(error).split())}; save it again with mne.Epochs.save"
        ) from error


def features_from(paths: Sequence[str | Path]) -> dict[str, xr.DataArray]:
    """Load feature spaces: one file with a ``layer`` coordinate, or one file a space."""
    from .brain import spaces

    found: dict[str, xr.DataArray] = {}
    for path in paths:
        array = _loaded(path)
        if not isinstance(array, xr.DataArray) or "feature" not in array.dims:
            raise ValueError(
                f"{str(path)!r} holds no features: a DataArray (stimulus, feature) is needed, it is "
                f"{type(array).__name__} {tuple(map(str, array.dims))}. Make one with neurodecode.brain.features"
            )
        named = spaces(array) if "layer" in array.coords else {Path(path).stem: array}
        twice = sorted(set(named) & set(found))
        if twice:
            raise ValueError(f"feature space(s) {listed(twice)} occur in more than one file; give each once")
        found |= named
    return found

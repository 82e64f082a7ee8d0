"""Hostile and broken files: refused with a reason, nothing executed, nothing overwritten, no crash.

The campaign of bench/hostile.py with few cases a kind; and what no random damage comes upon, made on purpose.
"""

from __future__ import annotations

import ast
import gzip
import json
import os
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import neurodecode as nd
from bench import hostile
from bench.hostile_kinds import Kind, digest, kinds, quietly
from neurodecode import store
from neurodecode.cli import main
from neurodecode.datasets import eeg_n170, haxby, own
from neurodecode.datasets._files import Source, open_hdf5
from neurodecode.datasets._images import open_image
from neurodecode.datasets._pickled import read_dict

SOURCE = Source("Some Data", "some.org")
PACKAGE = Path(nd.__file__).parent
# Of these the campaign is quick; python bench/hostile.py tries all.
QUICK = (
    *("results, netCDF", "prepared data, zarr", "pieces of long work", "training state, safetensors"),
    *("netCDF-4 of others", "netCDF-3 of others", "Kamitani BData, HDF5", "Haxby, NIfTI and text"),
    *("THINGS-EEG, pickled .npy", "THINGS-EEG, plain .npy", "own epochs, FIF", "pictures, PNG"),
)


def by_name(name: str) -> Kind:
    found = {kind.name: kind for kind in kinds()}
    if name not in found:
        pytest.skip(f"{name}: its libraries are not installed")
    return found[name]


@pytest.fixture
def result() -> xr.DataArray:
    array = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("region", "window"))
    return store.stamp(array, what="spatial.decode", parameters={"alpha": 1.0})


def forked(read: Callable[[], Any], path: Path) -> hostile.Outcome:
    """How reading ends, in a process of its own: what may crash must not take the tests with it."""
    kind = Kind("", "", lambda folder: [], lambda folder: read())
    (outcome,) = hostile.attempts(kind, path.parent, path, "", [hostile.Damage("zeros", 0, 0)])
    return outcome


# ---------------------------------------------------------------- the campaign


@pytest.mark.parametrize("name", QUICK)
def test_damaged_files_are_refused_or_read_whole(name, tmp_path):
    kind = by_name(name)
    found = hostile.campaign(kind, tmp_path, flips=12, cuts=6, seed=1)
    assert len(found) > 15
    allowed = {"refused", "equal"} if kind.guard else {"refused", "equal", "altered"}
    assert [case for case in found if case[2].what not in allowed] == []
    assert any(case[2].what == "refused" for case in found)


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (lambda: os.kill(os.getpid(), 11), "crashed"),
        (lambda: os._exit(42), "crashed"),
        (lambda: np.empty(2**40, np.uint8), "bare"),
        (lambda: {}["a"], "bare"),
        (lambda: 1, "altered"),
        (lambda: nd.load(Path("nowhere.nc")), "bare"),
    ],
)
def test_the_campaign_sees_what_it_counts(read, what, tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    assert forked(read, tmp_path / "a").what == what


def test_the_campaign_sees_a_hang_and_goes_on(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    kind = Kind("", "", lambda folder: [], lambda folder: _wait_for(folder / "a"))
    cases = [hostile.Damage("cut", 0), hostile.Damage("cut", 3)]
    found = hostile.attempts(kind, tmp_path, tmp_path / "a", digest(3), cases, seconds=3.0)
    assert [outcome.what for outcome in found] == ["hung", "equal"]


def _wait_for(path: Path) -> int:
    while not path.stat().st_size:
        pass
    return path.stat().st_size


# ---------------------------------------------------------------- nothing is executed


class Canary:
    """Would make a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", [*QUICK, "image encoder, folder"])
def test_a_pickle_in_a_files_place_is_refused_and_not_executed(name, tmp_path):
    kind = by_name(name)
    canary = tmp_path / "canary"
    (tmp_path / "files").mkdir()
    files = kind.make(tmp_path / "files")
    whole, refused = quietly(kind, tmp_path / "files"), 0
    for path in files[:: max(1, len(files) // 4)]:
        content = path.read_bytes()
        plain = np.array(Canary(canary), dtype=object)
        with path.open("wb") as stream:
            np.save(stream, plain) if path.suffix == ".npy" else pickle.dump(plain, stream)
        try:
            assert quietly(kind, tmp_path / "files") == whole  # of some folders not every file is read
        except (ValueError, OSError):
            refused += 1
        path.write_bytes(content)
    assert refused
    assert not canary.exists()


def test_pickles_inside_archives_and_weights_are_not_executed(tmp_path, monkeypatch):
    canary = Canary(tmp_path / "canary")
    np.savez(
        tmp_path / "a.npz", data=np.array([canary], dtype=object), label=np.array([canary], dtype=object)
    )
    with pytest.raises(ValueError, match=r"a\.npz is damaged or of another data set"):
        eeg_n170.load(tmp_path / "a.npz")
    vision = pytest.importorskip("neurodecode.vision")
    for name in ("pytorch_model.bin", "model.ckpt", "weights.pt"):
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / name).write_bytes(pickle.dumps(canary))
        (tmp_path / "model" / "open_clip_config.json").write_text('{"model_cfg": {}}')
        with pytest.raises(ValueError, match="pickled files can execute any code"):
            vision.load(tmp_path / "model")
    assert not canary.path.exists()


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
HEAD = b"\x80\x03}X\x04\x00\x00\x00data"
TYPE_O = b"cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R"
# Each of these ends CPython with a segmentation fault if it reaches NumPy.
CRASHING = {
    "addresses by numpy.ndarray": b"cnumpy\nndarray\n(K\x01\x85" + TYPE_O + b"C\x08AAAAAAAAt\x81s.",
    "addresses by numpy.ndarray, called": b"cnumpy\nndarray\n(K\x01\x85" + TYPE_O + b"C\x08AAAAAAAAtRs.",
    "a list that is too short": ARRAY + b"(K\x01J\x40\x42\x0f\x00\x85" + TYPE_O + b"\x89]tbs.",
    "a type that forgets that it holds addresses": (
        ARRAY + b"(K\x01K\x01\x85" + TYPE_O + b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89C\x08AAAAAAAAtbs."
    ),
    "a structure that holds addresses": (
        ARRAY + b"(K\x01K\x01\x85cnumpy\ndtype\nX\x03\x00\x00\x00O,O\x85R\x89C\x10AAAAAAAAAAAAAAAAtbs."
    ),
    "texts of another width": (
        ARRAY + b"(K\x01K\x01\x85cnumpy\ndtype\nX\x02\x00\x00\x00U2\x85R"
        b"(K\x03X\x01\x00\x00\x00<NNNJ\x00\x00\x00\x40K\x04K\x08tb\x89C\x08AAAAAAAAtbs."
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CRASHING))
def test_a_pickle_of_arrays_that_would_crash_numpy(name, tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(HEAD + CRASHING[name])
    outcome = forked(lambda: repr(read_dict(path, ("data",), what="data", source=SOURCE)), path)
    assert outcome.what == "refused", outcome


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_dates_and_shared_types_still_come_back(protocol, tmp_path):
    days = np.array(["2020-01-01", "2021-05-05"], dtype="M8[D]")
    content = {
        "days": days,
        "again": days,
        "text": np.str_("é"),
        "none": np.empty((0, 3)),
        "yes": np.array([True]),
    }
    (tmp_path / "a.npy").write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_dict(tmp_path / "a.npy", tuple(content), what="data", source=SOURCE)
    assert {k: np.asarray(v).tolist() for k, v in found.items()} == {
        k: np.asarray(v).tolist() for k, v in content.items()
    }
    assert found["days"].dtype == days.dtype


FORBIDDEN = {"extractall", "unpack_archive", "joblib", "dill", "cloudpickle", "shelve", "marshal", "tarfile"}
OURS = [*PACKAGE.rglob("*.py"), *PACKAGE.parent.glob("analyses/*.py"), *PACKAGE.parent.glob("figures/*.py")]


def test_no_module_reads_what_could_execute():
    """Names that would: in no module; pickle in one, whose reader makes arrays alone; shells nowhere."""
    found = []
    for file in OURS:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _could_execute(node):
                found.append((file.name, node.lineno, ast.unparse(node)))
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {a.name for a in node.names} | {getattr(node, "module", None)}
                if names & FORBIDDEN or (
                    "pickle" in names and file.name not in ("_pickled.py", "networks.py")
                ):
                    found.append((file.name, node.lineno, ast.unparse(node)))
    assert found == []


def _could_execute(call: ast.Call) -> bool:
    given = {k.arg: getattr(k.value, "value", None) for k in call.keywords}
    owner, _, name = ast.unparse(call.func).rpartition(".")
    if name in FORBIDDEN or (not owner and name in ("eval", "exec")):
        return True
    if given.get("shell") or given.get("allow_pickle") or "trust_remote_code" in given:
        return True
    if name == "load" and owner in ("np", "numpy"):
        return given.get("allow_pickle") is not False
    if name == "load" and owner.endswith(("torch", "torch()")):
        return given.get("weights_only") is not True
    return owner == "pickle" and name in ("load", "loads", "Unpickler")


@pytest.mark.parametrize(
    "text",
    [
        "np.load(a)", "torch.load(a)", "_backends.torch().load(a, weights_only=False)", "pickle.loads(a)", "eval(a)",
        "subprocess.run(a, shell=True)", "AutoModel.from_pretrained(a, trust_remote_code=True)", "archive.extractall()",
    ],
)  # fmt: skip
def test_the_search_finds_what_could_execute(text):
    assert _could_execute(ast.parse(text).body[0].value)


# ---------------------------------------------------------------- files that refer to others


@pytest.mark.parametrize("how", ["link", "storage", "virtual", "below"])
def test_hdf5_that_refers_to_another_file_is_refused(how, tmp_path, result):
    """Else whatever the reader may read would be read, and go on under the name of data."""
    secret = tmp_path / "secret"
    with h5py.File(secret, "w") as file:
        file["data"] = np.arange(4.0)
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        group = file.create_group("inside") if how == "below" else file
        if how == "storage":
            file.create_dataset("data", (4,), "f8", external=[(str(secret), 0, 32)])
        elif how == "virtual":
            layout = h5py.VirtualLayout((4,), "f8")
            layout[:] = h5py.VirtualSource(str(secret), "data", (4,))
            file.create_virtual_dataset("data", layout)
        else:
            group["data"] = h5py.ExternalLink(str(secret), "data")
    with pytest.raises(ValueError, match=r"a\.nc.*in other? files?|a\.nc.*in another file"):
        nd.load(path)
    with (
        pytest.raises(ValueError, match=r"a\.nc \(betas\) is damaged or refers to other files"),
        open_hdf5(path, what="betas", source=SOURCE),
    ):
        pass


# ---------------------------------------------------------------- more than there is


def test_netcdf_that_declares_more_than_memory_holds(tmp_path):
    for size, kind in ((10**15, "f8"), (2**40, "i1")):
        with h5py.File(tmp_path / "a.nc", "w") as file:
            file.create_dataset("data", (size,), kind, chunks=(2**20,))
        outcome = forked(lambda: nd.load(tmp_path / "a.nc"), tmp_path / "a.nc")
        assert outcome.what == "refused", outcome


def test_headers_that_announce_more_than_their_file_holds(tmp_path):
    import nibabel

    image = nibabel.Nifti1Image(np.zeros((4, 4, 4, 5), np.int16), np.eye(4))
    nibabel.save(image, tmp_path / "a.nii")
    for name in ("a.nii", "a.nii.gz"):
        content = bytearray((tmp_path / "a.nii").read_bytes())
        content[40:56] = struct.pack("<8h", 4, 30000, 30000, 30000, 30000, 1, 1, 1)
        path = tmp_path / name
        path.write_bytes(gzip.compress(bytes(content)) if name.endswith("gz") else bytes(content))
        with pytest.raises(ValueError, match="its header announces .* more than it can hold"):
            open_image(path, what="betas", source=SOURCE)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in ("data", "label", "channels", "time", "run", "times"):
            archive.writestr(f"{name}.npy", npy)
    outcome = forked(lambda: eeg_n170.load(tmp_path / "a.npz"), tmp_path / "a.npz")
    assert outcome.what == "refused", outcome


def test_an_archive_that_unpacks_to_more_than_memory_holds(tmp_path, memory_left):
    np.savez_compressed(tmp_path / "a.npz", **dict.fromkeys(_axes(), np.zeros(1 << 22)))
    assert (tmp_path / "a.npz").stat().st_size < 1 << 20
    memory_left(1 << 20)
    with pytest.raises(MemoryError, match=r"a\.npz, unpacked, would need"):
        eeg_n170.load(tmp_path / "a.npz")


def _axes() -> list[str]:
    return [
        "trials",
        "data",
        "eeg",
        "label",
        "labels",
        "channels",
        "times",
        "time",
        "run",
        "runs",
        "condition",
    ]


def test_deep_nesting_is_refused(tmp_path, result):
    deep = "[" * 100_000
    (tmp_path / "key.json").write_text(deep)
    with pytest.raises(ValueError, match=r"key\.json is damaged"):
        store.Pieces(tmp_path, key={"a": 1})
    with pytest.raises(ValueError, match="provenance.*is no JSON"):
        store.provenance(result.assign_attrs(provenance=deep))
    with pytest.raises(ValueError, match="provenance.*a list instead of an object"):
        store.provenance(result.assign_attrs(provenance="[]"))
    (tmp_path / "a.json").write_text(deep)
    with pytest.raises(ValueError, match=r"a\.json is damaged"):
        nd.datasets.stimuli.captions(tmp_path / "a.json")
    for text in (deep, '{"a": ' * 50_000, "RidgeDecoder(" * 50_000):
        nd.methods.table(result.assign_attrs(note=text))


# ---------------------------------------------------------------- no file at all


def test_pipes_folders_and_devices_are_refused(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.nc")
    os.mkfifo(tmp_path / "pipe.nii.gz")
    os.mkfifo(tmp_path / "key.json")
    with pytest.raises(ValueError, match=r"pipe\.nc is a pipe or a device"):
        nd.load(tmp_path / "pipe.nc")
    with pytest.raises(ValueError, match="pipe or a device"):
        nd.load("/dev/zero")
    with pytest.raises(ValueError, match="pipe or device"):
        store.Pieces(tmp_path, key={})
    assert main(["info", str(tmp_path / "pipe.nii.gz")]) == 2
    assert "pipe or device" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        own.epochs(tmp_path / "pipe.nc")
    with pytest.raises((FileNotFoundError, IsADirectoryError)):
        haxby.load(tmp_path, subject=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path, result):
    path = store.save(result, tmp_path / "a.nc")
    path.chmod(0)
    with pytest.raises(PermissionError, match=r"a\.nc"):
        nd.load(path)


# ---------------------------------------------------------------- nothing is overwritten


def test_what_is_there_stays_when_a_result_cannot_be_written(tmp_path, result):
    path = store.save(result, tmp_path / "a.nc")
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        store.save(result + 1, path)
    with pytest.raises(TypeError):
        store.save(xr.DataArray([object()], dims="x"), path, overwrite=True)
    (tmp_path / "link.nc").symlink_to(path)
    with pytest.raises(FileExistsError):
        store.save(result + 1, tmp_path / "link.nc")
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nc", "link.nc"]


def test_commands_on_a_bad_file_leave_an_older_result_as_it_was(tmp_path, result, capsys):
    out = store.save(result, tmp_path / "out.nc")
    before = out.read_bytes()
    for content in (before[: len(before) // 2], before[:-100] + b"x" + before[-99:], b"", pickle.dumps(1)):
        (tmp_path / "bad.nc").write_bytes(content)
        for words in (["decode", "--features", "bad.nc"], ["sweep", "--features", "bad.nc"]):
            files = [str(tmp_path / word) if word.endswith(".nc") else word for word in words]
            said = [*files, "--responses", str(tmp_path / "bad.nc"), "--out", str(out), "--overwrite"]
            assert main(said) == 2
            assert "bad.nc" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_folders_of_others_beside_a_result_are_not_removed(tmp_path):
    """What is made block by block works in NAME.part and NAME.trials, and clears them."""
    from neurodecode.datasets import prepared

    names = [f"s{i}" for i in range(6)]
    responses = nd.brain.fmri(np.ones((6, 2)), sample=names, stimulus=names)
    for ending in (".part", ".trials"):
        (tmp_path / f"a.zarr{ending}").mkdir()
        (tmp_path / f"a.zarr{ending}" / "thesis.txt").write_text("years")
    with pytest.raises(FileExistsError, match=r"a\.zarr\.part.*was not made by neurodecode"):
        prepared.write(responses, tmp_path / "a.zarr", progress=False)
    (tmp_path / "a.zarr.part").rename(tmp_path / "elsewhere")
    prepared.write(responses, tmp_path / "a.zarr", progress=False)
    (tmp_path / "elsewhere").rename(tmp_path / "a.zarr.part")
    prepared.write(responses, tmp_path / "a.zarr", progress=False)
    for ending in (".part", ".trials"):
        assert (tmp_path / f"a.zarr{ending}" / "thesis.txt").read_text() == "years"
    (tmp_path / "linked.zarr.part").symlink_to(tmp_path / "a.zarr.trials")
    with pytest.raises(FileExistsError, match="was not made by neurodecode"):
        prepared.write(responses, tmp_path / "linked.zarr", progress=False)


# ---------------------------------------------------------------- altered labels, newer formats


def test_an_altered_label_of_prepared_data_is_found(tmp_path):
    folder = by_name("prepared data, zarr")
    folder.make(tmp_path)
    path = tmp_path / "sub.zarr"
    attrs = path / "responses" / ".zattrs"
    whole = attrs.read_text()
    attrs.write_text(whole.replace("standard deviations", "standard deviationz"))
    for read in (nd.load, store.open_blocks):
        with pytest.raises(ValueError, match=r"sub\.zarr is damaged: its labels and attributes"):
            read(path)
    attrs.write_text(whole)
    nd.load(path)


def test_a_result_of_a_newer_version_is_refused_with_the_remedy(tmp_path, result):
    path = store.save(result, tmp_path / "a.nc")
    content = path.read_bytes()
    (tmp_path / "b.nc").write_bytes(content[: -blocks_seal(content)])
    with h5py.File(tmp_path / "b.nc", "a") as file:
        file.attrs["neurodecode_format"] = 2
        file.attrs["neurodecode_record"] = "something that only a newer version knows"
    with pytest.raises(ValueError, match="neurodecode_format 2, .* reads up to 1; install a newer"):
        nd.load(tmp_path / "b.nc")
    assert main(["figure", str(tmp_path / "b.nc"), "--out", str(tmp_path)]) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nc", "b.nc"]


def blocks_seal(content: bytes) -> int:
    from neurodecode.store.atomic import SEAL_BYTES

    assert content[-SEAL_BYTES:].startswith(b"\nneurodecode sha256 ")
    return SEAL_BYTES


# ---------------------------------------------------------------- hostile text

NASTY = "V1\x1b]0;owned\x07\x1b[2J\u202egnp.\r\n  well-formed<script>alert(1)</script>$\\frac{"


@pytest.fixture
def nasty(tmp_path) -> Path:
    """Scores whose names and record move cursors, forge lines, run scripts, and break formulas."""
    array = xr.DataArray(
        np.linspace(0, 1, 6).reshape(2, 3),
        dims=("region", "fold"),
        coords={"region": [NASTY, "V2 $x"], "fold": [0, 1, 2]},
        attrs={"units": NASTY, "score": "profile", NASTY: NASTY},
        name="score",
    )
    record = {"what": NASTY, "parameters": {NASTY: NASTY}, "version": NASTY}
    return store.save(array.assign_attrs(provenance=json.dumps(record)), tmp_path / "nasty.nc")


def test_a_terminal_sees_no_control_characters(nasty, capsys):
    assert digest(nd.load(nasty)) == digest(nd.load(nasty))
    for words in (["info"], ["methods"], ["methods", "--form", "latex"], ["methods", "--form", "csv"]):
        main([words[0], str(nasty), *words[1:]])
        said = capsys.readouterr()
        text = said.out + said.err
        assert "V1" in text
        assert [c for c in text if not c.isprintable() and c not in "\n\t"] == []
        if words == ["info"]:
            assert [line for line in text.splitlines() if line.strip().startswith("well-formed")] == [
                "  well-formed"
            ]


def test_a_page_runs_no_script_of_a_name(nasty):
    from neurodecode import report

    page = report.write(nasty.parent, title=NASTY).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_names_are_no_formulas_in_figures(tmp_path):
    import matplotlib.pyplot as plt

    with nd.plot.style():
        figure, ax = plt.subplots()
        ax.set(title="$\\frac{", xlabel=NASTY.split("\x1b")[0] + "$\\x$")
        ax.set_xticks([0, 1], ["a$b$c", "$\\frac{"])
        png, pdf = nd.plot.save(figure, tmp_path / "a")
    assert png.stat().st_size > 1000
    plt.close(figure)


# ---------------------------------------------------------------- model folders


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"auto_map": {"AutoModel": "evil.Model"}}, "auto_map"),
        ({"model_cfg": {"text_cfg": {"hf_model_name": "evil/model"}}}, "hf_model_name"),
        ({"model_cfg": {"text_cfg": {"tokenizer_kwargs": {"trust_remote_code": True}}}}, "tokenizer_kwargs"),
        ({"model_cfg": {"vision_cfg": {"timm_model_name": "hf-hub:evil/model"}}}, "timm_model_name"),
        ({"model_cfg": [{"attn_implementation": "evil/kernel"}]}, "attn_implementation"),
    ],
)
def test_a_model_folder_that_asks_for_code_or_models_elsewhere(change, named, tmp_path):
    vision = pytest.importorskip("neurodecode.vision")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": {}} | change))
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"\0" * 8)
    with pytest.raises(ValueError, match=f"open_clip_config.json asks for code or a model .*{named}"):
        vision.load(tmp_path)


def test_code_in_a_model_folder_is_not_run_and_missing_weights_are_not_made_up(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    from neurodecode import vision
    from tests.small_models import write_diffusion

    folder = write_diffusion(tmp_path)
    for part in ("vae", "text_encoder", "tokenizer", "."):
        (folder / part / "evil.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')")
    config = folder / "vae" / "config.json"
    whole = config.read_text()
    config.write_text(json.dumps(json.loads(whole) | {"auto_map": {"AutoModel": "evil.Model"}}))
    with pytest.raises(ValueError, match="asks for code or a model from elsewhere"):
        vision.load_latents(folder)
    config.write_text(whole)
    for part, load in (("vae", vision.load_latents), ("text_encoder", vision.load_text)):
        load(folder)
        (path,) = (folder / part).glob("*.safetensors")
        weights = load_file(path)
        first = next(name for name in sorted(weights) if weights[name].ndim > 1)
        less = {name: value for name, value in weights.items() if name != first}
        save_file(less, path, metadata={"format": "pt"})
        with pytest.raises(ValueError, match=r"1 weights of .* are missing"):
            load(folder)
        save_file(weights | {first: torch.zeros(1, 2)}, path, metadata={"format": "pt"})
        with pytest.raises(ValueError, match="weights of .* are missing|no model can be made"):
            load(folder)
    assert not (tmp_path / "canary").exists()


def test_the_script_prints_its_table(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["hostile.py", "--flips", "2", "--cuts", "4", "--only", "results"])
    hostile.main()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("| results, netCDF | SHA-256 |")
    assert last.endswith("| 0 | 0 | 0 | 0 |")

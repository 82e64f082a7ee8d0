"""Pictures and captions: what lies in folders, stacks and tables comes back under the right labels."""

from __future__ import annotations

import io
import os

import h5py
import numpy as np
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode import cli
from neurodecode.datasets import _blocks, nsd, stimuli, things_eeg
from tests import trees

Image = pytest.importorskip("PIL.Image")


def responses_to(*names):
    return nd.brain.fmri(np.zeros((len(names), 2)), sample=np.arange(len(names)), stimulus=list(names))


# ---------------------------------------------------------------- folders


@pytest.mark.parametrize("numbered", [True, False])
def test_folders_of_concepts(tmp_path, numbered, reading):
    planted = trees.things_images(tmp_path, numbered=numbered)
    found = stimuli.images(tmp_path)
    assert found.dims == ("stimulus", "row", "column", "colour")
    assert found.dtype == np.float32
    assert (found.chunks is not None) == (reading == "dask")
    assert set(found.stimulus.values) == set(planted)
    assert (found.sizes["row"], found.sizes["column"]) == (12, 10)
    for name, values in planted.items():
        np.testing.assert_array_equal(found.sel(stimulus=name), values.astype(np.float32) / np.float32(255))
        assert found.concept.sel(stimulus=name).item() == name.rsplit("_", 1)[0]
    assert found.colour.values.tolist() == ["red", "green", "blue"]
    assert found.attrs["units"] == "0-1"
    own = nd.brain.images(
        np.stack([planted[n] for n in found.stimulus.values]), stimulus=found.stimulus.values
    )
    xr.testing.assert_identical(found.drop_vars("concept").compute(), own)


def test_only_those_that_were_shown_in_their_order(tmp_path, reading):
    planted = trees.things_images(tmp_path)
    wanted = ["antelope_01b", "aardvark_02b", "antelope_01b", "abacus_01b"]
    # What is wanted of others does not count, be it broken.
    (tmp_path / "training_images/00001_aardvark/aardvark_01b.png").write_bytes(b"broken")
    found = stimuli.images(tmp_path, only=responses_to(*wanted).stimulus)
    assert found.stimulus.values.tolist() == ["antelope_01b", "aardvark_02b", "abacus_01b"]
    np.testing.assert_allclose(255 * found[1], planted["aardvark_02b"], atol=1e-4)


def test_all_pictures_come_in_the_order_of_their_paths(tmp_path, monkeypatch):
    trees.things_images(tmp_path)
    walked = list(os.walk(tmp_path))
    # As some disks list them.
    monkeypatch.setattr(
        os, "walk", lambda *_, **__: [(a, b, sorted(c, reverse=True)) for a, b, c in walked[::-1]]
    )
    found = stimuli.images(tmp_path).stimulus.values.tolist()
    assert found == ["aircraft_carrier_01b", "antelope_01b"] + [
        f"{concept}_{k:02d}b" for concept in ("aardvark", "abacus", "accordion") for k in (1, 2)
    ]


def test_the_pictures_of_things_eeg2_are_those_of_its_epochs(tmp_path):
    trees.things_eeg(tmp_path)
    trees.things_images(tmp_path / "image_set", ending="jpg")
    train = things_eeg.load(tmp_path, subject=1)
    found = stimuli.images(tmp_path / "image_set", only=train.stimulus)
    stimuli.require_images(train, found)
    assert found.stimulus.values.tolist() == list(dict.fromkeys(train.stimulus.values.tolist()))
    said = dict(zip(train.stimulus.values, train.concept.values, strict=True))
    assert found.concept.values.tolist() == [said[name] for name in found.stimulus.values]


def test_a_folder_that_is_no_concept(tmp_path):
    trees.picture(tmp_path / "train/aardvark_01b.png", trees.noise(1)[0])
    assert "concept" not in stimuli.images(tmp_path).coords
    trees.picture(tmp_path / "n01443537/n01443537_22563.PNG", trees.noise(1)[0])
    trees.picture(tmp_path / "images_meg/bat1/bat1_07s.png", trees.noise(1)[0])
    found = stimuli.images(tmp_path)
    said = dict(zip(found.stimulus.values.tolist(), found.concept.values.tolist(), strict=True))
    assert said == {"aardvark_01b": "", "n01443537_22563": "n01443537", "bat1_07s": "bat1"}


def test_nothing_is_read_before_it_is_needed(tmp_path, monkeypatch):
    pytest.importorskip("dask")
    from neurodecode.datasets.stimuli import folder

    for i, values in enumerate(trees.noise(40)):
        trees.picture(tmp_path / f"a{i:02d}.png", values)
    read = []
    real = folder.as_array
    monkeypatch.setattr(folder, "as_array", lambda *given: read.append(1) or real(*given))
    found = stimuli.images(tmp_path)
    assert not read
    assert found.chunks[0] == (16, 16, 8)
    found[16:20].compute()
    assert len(read) == 16
    # Large pictures: fewer at a time.
    monkeypatch.setattr(stimuli, "BLOCK", 3 * 4 * 360)
    assert stimuli.images(tmp_path).chunks[0][:2] == (3, 3)


# ---------------------------------------------------------------- one picture


def test_pictures_of_several_sizes(tmp_path):
    trees.picture(tmp_path / "a.png", trees.noise(1, (12, 10))[0])
    trees.picture(tmp_path / "b.png", trees.noise(1, (12, 10))[0])
    trees.picture(tmp_path / "c.png", trees.noise(1, (9, 11))[0])
    with pytest.raises(
        ValueError, match=r"a.png has 12 x 10 pixels, 1 of 3 have others, first .*c.png with 9 x 11"
    ):
        stimuli.images(tmp_path)
    assert stimuli.images(tmp_path, size=8).shape == (3, 8, 8, 3)
    assert stimuli.images(tmp_path, size=(6, 5)).shape == (3, 6, 5, 3)
    with pytest.raises(ValueError, match="size must be rows and columns"):
        stimuli.images(tmp_path, size=0)


def test_the_middle_is_resized_as_torch_does(tmp_path):
    torch = pytest.importorskip("torch")
    values = trees.noise(1, (8, 16))[0]
    trees.picture(tmp_path / "a.png", values)
    tensor = torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None]
    there = torch.nn.functional.interpolate(tensor, size=(4, 8), mode="bilinear", antialias=True)[0]
    square = 255 * stimuli.images(tmp_path, size=4)[0].values
    # The middle four columns of eight; Pillow rounds to whole numbers twice.
    np.testing.assert_allclose(square, there[:, :, 2:6].permute(1, 2, 0).numpy(), atol=1.5)
    whole = 255 * stimuli.images(tmp_path, size=(4, 8))[0].values
    np.testing.assert_allclose(whole, there.permute(1, 2, 0).numpy(), atol=1.5)


def test_pictures_in_other_colours(tmp_path):
    grey = np.arange(120, dtype=np.uint8).reshape(12, 10)
    trees.picture(tmp_path / "grey.png", grey)
    through = np.full((12, 10, 4), 200, np.uint8)
    through[..., 3] = 0
    through[6:, :, 3] = 255
    trees.picture(tmp_path / "through.png", through)
    palette = Image.fromarray(grey).convert("P")
    palette.info["transparency"] = 5
    palette.save(tmp_path / "palette.gif", transparency=5)
    trees.picture(tmp_path / "cmyk.jpg", np.zeros((12, 10, 3), np.uint8))
    Image.new("CMYK", (10, 12), (0, 0, 0, 0)).save(tmp_path / "cmyk.jpg")
    found = {
        name: 255 * stimuli.images(tmp_path, only=[name])[0].values for name in ("grey", "through", "palette")
    }
    np.testing.assert_allclose(found["grey"], np.repeat(grey[..., None], 3, axis=2), atol=1e-3)
    np.testing.assert_allclose(found["through"][:6], 127, atol=1e-3)
    np.testing.assert_allclose(found["through"][6:], 200, atol=1e-3)
    assert found["palette"].reshape(-1, 3)[5].tolist() == pytest.approx([127] * 3)
    assert stimuli.images(tmp_path, only=["cmyk"]).values.min() > 0.98
    Image.fromarray(np.full((12, 10), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep.png .* more than 8 bits a colour"):
        stimuli.images(tmp_path, only=["deep"]).compute()


@pytest.mark.parametrize("upright", [True, False])
def test_pictures_that_lie_on_their_side(tmp_path, upright):
    # 6: the first row is the right side of what is seen.
    values = np.zeros((8, 16, 3), np.uint8)
    values[:4] = 250
    exif = Image.Exif()
    exif[0x0112] = 6
    trees.picture(tmp_path / "a.png", values, exif=exif)
    found = stimuli.images(tmp_path, upright=upright)[0]
    assert found.shape == ((16, 8, 3) if upright else (8, 16, 3))
    bright = found[:, 4:] if upright else found[:4]
    dark = found[:, :4] if upright else found[4:]
    assert bright.min() > 0.97
    assert dark.max() < 0.01


# ---------------------------------------------------------------- what is wrong


def test_damaged_files_are_named(tmp_path):
    trees.things_images(tmp_path)
    path = tmp_path / "training_images/00001_aardvark/aardvark_02b.png"
    whole = path.read_bytes()
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match=r"aardvark_02b.png \(22 bytes\) is no image"):
        stimuli.images(tmp_path, size=4)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"aardvark_02b.png .* is empty: its download did not finish"):
        stimuli.images(tmp_path)
    path.unlink()
    os.symlink("../.git/annex/objects/XX/1w/MD5E-s4--6.png/MD5E-s4--6.png", path)
    with pytest.raises(FileNotFoundError, match=r"aardvark_02b.png .* is a placeholder.*datalad get"):
        stimuli.images(tmp_path)
    path.unlink()
    # Its beginning is there, so that only reading tells.
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"aardvark_02b.png .* is no image, truncated or damaged"):
        stimuli.images(tmp_path).compute()


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
def test_files_cut_anywhere_never_come_back_as_pictures(tmp_path, kind):
    stream = io.BytesIO()
    Image.fromarray(trees.noise(1, (40, 30))[0]).save(stream, kind)
    whole = stream.getvalue()
    path = tmp_path / f"a.{kind.lower()}"
    for share in (0.02, 0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match="is no image, truncated or damaged"):
            stimuli.images(tmp_path).compute()


def test_two_files_of_one_name(tmp_path):
    trees.things_images(tmp_path)
    trees.picture(tmp_path / "more/aardvark_02b.jpg", trees.noise(1)[0])
    message = r"1 names below .* more than one image, first '.*more/aardvark_02b.jpg', '.*aardvark/aardvark_02b.png'"
    with pytest.raises(ValueError, match=message):
        stimuli.images(tmp_path)
    # It does not matter where neither is wanted.
    assert stimuli.images(tmp_path, only=["abacus_01b"]).sizes["stimulus"] == 1


def test_pictures_whose_names_are_numbers_are_found_by_numbers(tmp_path):
    """Also where a column with a hole made floats of them."""
    for i, values in enumerate(trees.noise(2)):
        trees.picture(tmp_path / f"{i + 3}.png", values)
    for only in ([4, 3], [4.0, 3.0], ["4", "3"]):
        assert stimuli.images(tmp_path, only=only).stimulus.values.tolist() == ["4", "3"]


def test_folders_without_pictures(tmp_path):
    with pytest.raises(FileNotFoundError, match="hold no image .*, it is empty"):
        stimuli.images(tmp_path)
    (tmp_path / "images.zip").write_bytes(b"PK")
    with pytest.raises(FileNotFoundError, match="hold no image .*; it holds 'images.zip'"):
        stimuli.images(tmp_path)
    with pytest.raises(FileNotFoundError, match="the stack of images is missing"):
        stimuli.images(tmp_path / "no")


def test_folders_are_followed_once_and_hidden_files_passed_over(tmp_path):
    planted = trees.things_images(tmp_path / "disk")
    os.symlink(tmp_path / "disk", tmp_path / "disk/loop")
    os.symlink(tmp_path / "disk", tmp_path / "link")
    (tmp_path / "disk/test_images/._aardvark_01b.png").write_bytes(b"of a Mac")
    assert set(stimuli.images(tmp_path / "link").stimulus.values) == set(planted)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["aardvark_01b.jpg", "abacus_01b"],
            r"1 of the 2 stimuli .*'aardvark_01b.jpg'; stimuli bear the endings",
        ),
        (["images/aardvark/aardvark_01b.jpg"], "1 of the 1 stimuli .*; stimuli bear folders"),
        (["Aardvark_01b"], "they differ in capital letters"),
        (
            ["nsd_00001", "nsd_00002"],
            "2 of the 2 .*; images are there for 'aardvark_01b', .*of another dataset",
        ),
    ],
)
def test_stimuli_without_a_picture(tmp_path, names, message):
    trees.things_images(tmp_path)
    with pytest.raises(ValueError, match=message):
        stimuli.require_images(responses_to(*names), stimuli.images(tmp_path))
    with pytest.raises(ValueError, match="wanted images are not below"):
        stimuli.images(tmp_path, only=names)


# ---------------------------------------------------------------- stacks


def test_the_stack_of_nsd_counts_from_zero(tmp_path, reading):
    planted = trees.nsd_stimuli(tmp_path)
    path = tmp_path / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
    found = stimuli.images(path)
    assert found.stimulus.values.tolist() == [f"nsd_{i:05d}" for i in range(20)]
    np.testing.assert_array_equal(found.values, planted.astype(np.float32) / np.float32(255))
    assert (found.chunks is not None) == (reading == "dask")
    some = stimuli.images(path, only=["nsd_00017", "nsd_00003", "nsd_00017", "nsd_00005"])
    assert some.stimulus.values.tolist() == ["nsd_00017", "nsd_00003", "nsd_00005"]
    np.testing.assert_allclose(255 * some.values, planted[[17, 3, 5]], atol=1e-4)
    with pytest.raises(ValueError, match=r"1 of 1 wanted images are not in .*, which has 20: 'nsd_00020'"):
        stimuli.images(path, only=["nsd_00020"])
    assert stimuli.images(path, size=(6, 5)).shape == (20, 6, 5, 3)
    assert "concept" not in found.coords


def test_another_stack_needs_labels(tmp_path):
    path = tmp_path / "a.h5"
    values = trees.noise(3)
    with h5py.File(path, "w") as file:
        file["images"] = values
    with pytest.raises(ValueError, match="has no 'imgBrick'; it has images"):
        stimuli.images(path)
    with pytest.raises(ValueError, match="does not say what its 3 rows are"):
        stimuli.images(path, dataset="images")
    with pytest.raises(ValueError, match="has 3 images, but 2 labels"):
        stimuli.images(path, dataset="images", stimulus=["a", "b"])
    with pytest.raises(ValueError, match="must be unique; 1 of 3 are not"):
        stimuli.images(path, dataset="images", stimulus=["a", "b", "a"])
    found = stimuli.images(path, dataset="images", stimulus=["a", "b", "c"], only=["c"])
    np.testing.assert_allclose(255 * found[0], values[2], atol=1e-4)
    with h5py.File(path, "w") as file:
        file["images"] = values.astype(float)
        file["turned"] = np.moveaxis(values, -1, 1)
    with pytest.raises(ValueError, match=r"holds \(3, 12, 10, 3\) of float64, expected bytes"):
        stimuli.images(path, dataset="images", stimulus=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"has shape \(3, 3, 12, 10\), expected"):
        stimuli.images(path, dataset="turned", stimulus=["a", "b", "c"])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is truncated: get it again from the Natural Scenes Dataset"):
        stimuli.images(path)


def test_pictures_that_would_not_fit(tmp_path, monkeypatch, memory_left):
    trees.things_images(tmp_path)
    monkeypatch.setattr(_blocks, "has_dask", lambda: False)

    memory_left(1000)
    with pytest.raises(MemoryError, match="8 pictures of 12 x 10 pixels.*size=..., or install dask"):
        stimuli.images(tmp_path)


# ---------------------------------------------------------------- words


def test_captions_of_coco_meet_the_pictures_of_nsd(tmp_path):
    planted = trees.nsd_captions(tmp_path, pictures=[0, 7, 12, 72_999])
    wanted = ["nsd_72999", "nsd_00012", "nsd_00007", "nsd_00012"]
    found = stimuli.nsd_captions(tmp_path, only=wanted)
    assert list(found) == ["nsd_72999", "nsd_00012", "nsd_00007"]
    assert all(found[name] == planted[name] for name in found)
    assert all(len(several) == 5 for several in found.values())
    folder = tmp_path / "nsddata_stimuli/stimuli/nsd/annotations"
    with pytest.raises(
        ValueError, match=r"no caption for 1 of 2 pictures of NSD: 'nsd_00001'.*whole file of the anno"
    ):
        stimuli.nsd_captions(tmp_path, only=["nsd_00001", "nsd_00007"])
    with pytest.raises(ValueError, match=r"1 of 1 are no pictures of NSD: 'nsd_73000'"):
        stimuli.nsd_captions(tmp_path, only=["nsd_73000"])
    # Only the files of which pictures are wanted.
    os.rename(folder, tmp_path / "coco")
    (tmp_path / "coco/captions_val2017.json").unlink()
    assert stimuli.nsd_captions(tmp_path, only=["nsd_00007"], annotations=tmp_path / "coco") == {
        "nsd_00007": planted["nsd_00007"]
    }
    with pytest.raises(
        FileNotFoundError, match="captions is missing: .*captions_val2017.json.*cocodataset.org"
    ):
        stimuli.nsd_captions(tmp_path, only=wanted, annotations=tmp_path / "coco")
    path = tmp_path / "coco/captions_train2017.json"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(ValueError, match="captions_train2017.json .* is truncated or holds no captions"):
        stimuli.nsd_captions(tmp_path, only=["nsd_00007"], annotations=tmp_path / "coco")
    path.write_text('{"images": []}')
    with pytest.raises(ValueError, match="is truncated or holds no captions: KeyError.*'annotations'"):
        stimuli.nsd_captions(tmp_path, only=["nsd_00007"], annotations=tmp_path / "coco")
    table = tmp_path / "nsddata/experiments/nsd/nsd_stim_info_merged.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]))
    with pytest.raises(ValueError, match="must list 73000 pictures, 'nsdId' from 0 on; it has 72999 lines"):
        stimuli.nsd_captions(tmp_path)
    table.write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]))
    with pytest.raises(ValueError, match="'nsdId' from 0 on"):
        stimuli.nsd_captions(tmp_path)
    table.write_text("\n".join([*lines[:-1], lines[-1].replace("2017", "2014")]))
    with pytest.raises(ValueError, match="it also has 'train2014'"):
        stimuli.nsd_captions(tmp_path)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="has not the columns 'cocoId'"):
        stimuli.nsd_captions(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"a": "one  dog\\n", "b": ["two", "three cats"]}'),
        ("a.csv", 'stimulus,caption\na,one dog\nb,two\nb,"three cats"\n'),
        ("a.tsv", "caption\tstimulus\none dog\ta\ntwo\tb\nthree cats\tb\n"),
    ],
)
def test_captions_of_your_own(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    assert stimuli.captions(path) == {"a": ["one dog"], "b": ["two", "three cats"]}
    assert list(stimuli.captions(path, only=["b", "a", "b"])) == ["b", "a"]
    with pytest.raises(
        ValueError,
        match="1 of 2 are no stimuli in .*'a.png'; stimuli bear the endings of files, and captions do not: cut",
    ):
        stimuli.captions(path, only=["a.png", "b"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"a": "x", "b": []}', "an empty one, for 1 stimuli: 'b'"),
        ("a.json", '{"a": " "}', "an empty one, for 1 stimuli: 'a'"),
        ("a.json", "{}", "no caption"),
        ("a.json", '{"a": 3}', "something else than texts for 1 stimuli: 'a'"),
        ("a.json", '["x"]', "must hold {stimulus: caption or captions}, not a list"),
        ("a.json", '{"a": ', "is damaged"),
        ("a.csv", "picture,caption\na,x\n", "has no column 'stimulus'; it has 'picture', 'caption'"),
        ("a.csv", "stimulus,caption\na,x\nb\n", "line 3 .* is cut short"),
    ],
)
def test_tables_of_captions_that_are_none(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        stimuli.captions(tmp_path / name)


def test_concepts_become_prompts():
    names = ["a", "b", "a", "c", "d"]
    concepts = ["aircraft_carrier", "bat1", "aircraft_carrier", "first-aid_kit", "mp3_player"]
    array = responses_to(*names).assign_coords(concept=("sample", concepts))
    assert stimuli.concept_prompts(array) == {
        "a": "a picture of aircraft carrier",
        "b": "a picture of bat",
        "c": "a picture of first-aid kit",
        "d": "a picture of mp3 player",
    }
    assert stimuli.concept_prompts(array[:1], prompt="the {}") == {"a": "the aircraft carrier"}
    with pytest.raises(ValueError, match="prompt must hold {}"):
        stimuli.concept_prompts(array, prompt="a picture")
    with pytest.raises(
        ValueError, match="1 stimuli have two concepts, first 'a': 'aircraft_carrier', 'bat1'"
    ):
        stimuli.concept_prompts(
            array.assign_coords(concept=("sample", [*concepts[:2], "bat1", *concepts[3:]]))
        )
    for concept in ("", "n01443537", "7"):
        with pytest.raises(
            ValueError, match=f"1 of 4 stimuli have no concept in words, first 'd' with '{concept}'"
        ):
            stimuli.concept_prompts(array.assign_coords(concept=("sample", [*concepts[:4], concept])))
    with pytest.raises(ValueError, match="the array has no coordinate 'concept'"):
        stimuli.concept_prompts(responses_to("a"))


# ---------------------------------------------------------------- on to the features


def test_features_of_lazy_pictures_are_those_of_pictures_in_memory(tmp_path):
    pytest.importorskip("dask")
    vision = pytest.importorskip("neurodecode.vision")
    values = trees.noise(20, (64, 64))
    for i, one in enumerate(values):
        trees.picture(tmp_path / f"a{i:02d}.png", one)
    lazy = stimuli.images(tmp_path)
    whole = nd.brain.images(values, stimulus=[f"a{i:02d}" for i in range(20)])
    encoder = vision.load("lab")
    layer = encoder.layers[0]
    found = vision.extract_features(lazy, encoder, layer, batch=8, progress=False)
    np.testing.assert_array_equal(
        found.values, vision.extract_features(whole, encoder, layer, batch=8, progress=False)
    )
    assert found.stimulus.values.tolist() == whole.stimulus.values.tolist()


def test_the_responses_of_nsd_find_their_pictures(tmp_path):
    trees.nsd(tmp_path, sessions=1)
    responses = nsd.load(tmp_path, subject=1)
    trees.nsd_stimuli(tmp_path, count=73_000, size=(2, 1))
    found = stimuli.images(
        tmp_path / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5", only=responses.stimulus.values[:40]
    )
    stimuli.require_images(responses[:40], found)
    with pytest.raises(ValueError, match=r"\d+ of the \d+ stimuli in responses have no image"):
        stimuli.require_images(responses, found)


def test_features_of_concepts_that_nobody_knows_are_refused(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "images" / f"{name}.png")
    nd.save(responses_to("a", "b"), tmp_path / "known.nc")
    nd.save(responses_to("a", "b").drop_vars("stimulus"), tmp_path / "unknown.nc")
    said = ["features", "--images", str(tmp_path / "images"), "--captions", "concepts"]
    out = ["--out", str(tmp_path / "out")]
    assert cli.main([*said, *out]) == 2
    assert "--captions concepts needs to know of what every picture is" in capsys.readouterr().err
    assert cli.main([*said, "--responses", str(tmp_path / "known.nc"), *out]) == 2
    assert "responses with the coordinate 'concept'" in capsys.readouterr().err
    assert cli.main([*said, "--responses", str(tmp_path / "unknown.nc"), *out]) == 2
    assert "unknown.nc has no coordinate 'stimulus'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

"""The page of a run: alone, whole, valid, true to the result, and deaf to what stands in a file."""

from __future__ import annotations

import html.parser
import re
import shutil
import subprocess
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import neurodecode as nd
from neurodecode import cli, inputs
from neurodecode.report.markup import VOID

EVIL = '<script>alert("1")</script>&\'<img src=x onerror=y>'
SECTIONS = ("Numbers", "Methods", "Settings", "Provenance")
NAMES = [f"img_{i}" for i in range(24)]


class Reader(html.parser.HTMLParser):
    """What a page holds; elements that are not closed where they should be are faults."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.cells: list[list[tuple[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))
        if len(dict(attrs)) < len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append(("", dict(attrs).get("data-value")))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes another")

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.open and set(self.open) & {"td", "th"}:
            text, value = self.cells[-1][-1]
            self.cells[-1][-1] = (text + data, value)


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    ids = [a["id"] for _, a in reader.tags if "id" in a]
    assert reader.faults == []
    assert reader.open == []
    assert len(ids) == len(set(ids))
    return reader


def require_alone(reader: Reader) -> None:
    """Nothing that a browser would fetch or run."""
    for tag, attrs in reader.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form", "video", "audio"}
        assert not [a for a in attrs if a.startswith("on")]
        for name in ("src", "srcset", "href", "action", "data", "poster", "background", "style"):
            assert attrs.get(name, "#").startswith(("#", "data:image/png;", "data:image/svg+xml;")), attrs
    policy = [a["content"] for t, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    style = "".join(reader.text)
    assert "@import" not in style
    assert "url(" not in style


def scores(subjects: int = 3, regions: tuple[str, ...] = ("V1", "LO")) -> xr.DataArray:
    rng = np.random.default_rng(0)
    features = nd.brain.features(rng.normal(size=(24, 4)), stimulus=NAMES, layer=["c", "c", "z", "z"])
    people = {}
    for i in range(subjects):
        values = features.values @ rng.normal(size=(4, 12)) + rng.normal(size=(24, 12))
        roi = np.repeat(regions, 12 // len(regions))
        people[f"s{i}"] = nd.brain.fmri(values, sample=NAMES, stimulus=NAMES, roi=roi)
    decoder = nd.RidgeDecoder(alpha=7.5)
    return nd.spatial.decode(people, features, decoder, regions=list(regions), folds=3)


@pytest.fixture(scope="module")
def score() -> xr.DataArray:
    return scores()


@pytest.fixture
def figure():
    made = plt.figure(figsize=(3, 2))
    made.add_subplot().plot([0, 1])
    yield made
    plt.close(made)


def test_a_page_holds_every_section_and_needs_nothing_else(score, figure, tmp_path):
    figure.savefig(tmp_path / "drawn.svg")
    figures = [figure, tmp_path / "drawn.svg"]
    out = nd.report.page(score, tmp_path / "run.html", figures=figures, title="A run", steps=["make it"])
    reader = read(out)
    require_alone(reader)
    text = "".join(reader.text)
    heads = [t for t, _ in reader.tags]
    assert heads.count("img") == 2
    assert all(a["alt"] for t, a in reader.tags if t == "img")
    for words in (
        *SECTIONS,
        "A run",
        "make it",
        "spatial.decode",
        "Whether warnings were raised was not recorded",
    ):
        assert words in text
    assert nd.methods.paragraph(score) in text
    for item, value in nd.methods.rows(score):
        if item.startswith("parameter ") and not item.startswith("parameter decoders."):
            assert [item.removeprefix("parameter "), value] in [[t for t, _ in row] for row in reader.cells]
    assert score.attrs["units"] in text
    assert ["each decoder.alpha", "7.5"] in [[t for t, _ in row] for row in reader.cells]
    assert "Simulated" not in text
    levels = [int(t[1]) for t in heads if t in ("h1", "h2", "h3")]
    assert levels == [1, 2, 2, 2, 2, 2], "no level of headings is skipped"


def test_the_numbers_are_those_of_the_result(score, tmp_path):
    rows = read(nd.report.page(score, tmp_path / "run.html")).cells
    found = {
        r[0][0]: [float(v) for _, v in r[1:]] for r in rows if r and r[0][0] in ("V1", "LO") and len(r) == 3
    }
    over = score.mean("fold")
    for region in ("V1", "LO"):
        for i, layer in enumerate(("c", "z")):
            one = over.sel(region=region, layer=layer).values
            assert found[region][i] == pytest.approx(one.mean(), abs=0)
            error = one.std(ddof=1) / np.sqrt(3)
            assert f"{one.mean():.3f} ± {error:.3f}" in [t for r in rows for t, _ in r]
    every = [r for r in rows if len(r) == 5 and r[3][1]]
    assert len(every) == 2 * 3 * 3
    flat = score.transpose("region", "subject", "fold", "layer").values.reshape(-1, 2)
    np.testing.assert_array_equal([[float(v) for _, v in r[3:]] for r in every], flat)


def test_arrays_of_all_kinds_are_told(tmp_path):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2, 900))
    values[0, 5] = np.nan
    result = xr.Dataset(
        {
            "map": (("layer", "voxel"), values),
            "p": ("layer", [0.00001234, 1.0]),
            "significant": ("layer", [True, False]),
            "count": ((), 3),
            "names": ("layer", ["a", "b"]),
        },
        {"layer": ["c", "z"]},
    )
    rows = read(nd.report.page(result, tmp_path / "run.html")).cells
    texts = [[t for t, _ in r] for r in rows]
    assert ["c", "1.23e-05", "yes"] in texts
    assert ["z", "1", "no"] in texts
    assert ["3"] in texts
    (c,) = [r for r in rows if r and r[0][0] == "map, c"]
    assert [float(v) for _, v in c[2:5]] == [
        np.nanmin(values[0]),
        np.nanmedian(values[0]),
        np.nanmax(values[0]),
    ]
    assert c[5][0] == "1"
    text = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert "does not say how it was made" in text


@pytest.mark.parametrize("modality", ["pictures of several", "pictures of one"])
def test_metrics_are_averaged_over_pictures_then_subjects(modality, tmp_path):
    n = 3 if modality == "pictures of several" else 1
    values = np.random.default_rng(2).normal(size=(n, 2, 2, 5))
    value = (("subject", "stage", "metric", "sample"), values)
    result = xr.Dataset({"value": value}, {"subject": list("abc")[:n], "stage": [1, 2], "metric": ["m", "k"]})
    rows = read(nd.report.page(result, tmp_path / "run.html")).cells
    found = np.array([[float(v) for _, v in r[1:]] for r in rows if len(r) == 3 and r[0][0] in "12"])
    np.testing.assert_allclose(found, values.mean(-1).mean(0), rtol=1e-14)
    several = values.mean(-1) if n > 1 else np.moveaxis(values[0], -1, 0)
    sem = several.std(0, ddof=1) / np.sqrt(len(several))
    assert f"{found[0, 0]:.3f} ± {sem[0, 0]:.3f}" in [t for r in rows for t, _ in r]


def test_equal_values_differ_by_nothing(tmp_path):
    labels = {"subject": list("abc"), "layer": ["rounded", "small", "none"]}
    small = np.array([1.0, 1.1, 1.2]) * 1e-9
    apart = np.column_stack([[0.591, 0.591 + 1e-16, 0.591], 0.5 + small, small])
    result = xr.DataArray(apart, labels, ("subject", "layer"))
    assert result.sel(layer="rounded").std() > 0
    said = [t for r in read(nd.report.page(result, tmp_path / "run.html")).cells for t, _ in r if " ± " in t]
    assert said == ["0.591 ± 0", "0.500 ± 5.77e-11", "1.1e-09 ± 5.77e-11"]


def test_text_from_a_file_stays_text(score, tmp_path):
    told = score.assign_coords(subject=[EVIL, "b", "c"], layer=["c", EVIL]).assign_attrs(
        {"units": EVIL, "subject": EVIL, EVIL: "</style><script>", "score": EVIL}
    )
    told = nd.store.stamp(
        told, what=EVIL, parameters={EVIL: EVIL, "decoders": {"c": EVIL, EVIL: EVIL}}, seed=EVIL
    )
    out = nd.report.page(told.rename(EVIL), tmp_path / "run.html", title=EVIL, steps=[EVIL])
    reader = read(out)
    require_alone(reader)
    assert "img" not in [t for t, _ in reader.tags]
    cells = [t for row in reader.cells for t, _ in row]
    assert EVIL in cells
    assert "".join(reader.text).count(EVIL) >= 8


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_gives_a_page_that_holds_together(tmp_path_factory, name, words):
    result = xr.DataArray([1.0], dims="x", coords={"x": [name]}, name=name or None, attrs={"units": words})
    result = nd.store.stamp(result, what=words, parameters={name: words})
    out = nd.report.page(result, tmp_path_factory.mktemp("page") / "run.html", title=words or "t")
    require_alone(read(out))


def test_half_a_surrogate_pair_is_replaced(tmp_path):
    result = xr.DataArray([1.0], dims="x", attrs={"units": "a\ud800b"})
    out = nd.report.page(result, tmp_path / "run.html")
    assert "a\ufffdb" in out.read_text(encoding="utf-8")


def test_what_is_no_figure_and_no_result_is_refused(score, tmp_path):
    (tmp_path / "note.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"note.txt' \(5 bytes\) is no PNG and no SVG"):
        nd.report.page(score, tmp_path / "run.html", figures=[tmp_path / "note.txt"])
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n123")
    with pytest.raises(ValueError, match=r"'cut' \(11 bytes\) is a truncated PNG"):
        nd.report.page(score, tmp_path / "run.html", figures=[tmp_path / "cut.png"])
    with pytest.raises(TypeError, match="give a figure as a path or a matplotlib figure"):
        nd.report.page(score, tmp_path / "run.html", figures=[3])
    with pytest.raises(TypeError, match="not a int"):
        nd.report.page(3, tmp_path / "run.html")
    with pytest.raises(ValueError, match="at least one result"):
        nd.report.join([], tmp_path / "run.html", title="none")
    assert not (tmp_path / "run.html").exists()


def test_a_wide_picture_is_made_narrower(score, figure, tmp_path):
    figure.savefig(tmp_path / "wide.png", dpi=700)
    reader = read(nd.report.page(score, tmp_path / "run.html", figures=[tmp_path / "wide.png"]))
    (image,) = [a for t, a in reader.tags if t == "img"]
    assert (int(image["width"]), int(image["height"])) == (2000, 1333)


def test_a_page_is_whole_or_not_there(score, tmp_path, monkeypatch):
    old = tmp_path / "run.html"
    old.write_text("kept")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        nd.report.page(score, old)

    def broken(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr("neurodecode.store.atomic.publish", broken)
    with pytest.raises(OSError, match="No space left"):
        nd.report.page(score, old, overwrite=True)
    assert old.read_text() == "kept"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.html"]


def test_several_results_have_a_list_and_their_own_sections(score, tmp_path):
    with warnings.catch_warnings(record=True), nd.store.noting():
        warnings.warn("look out", UserWarning, stacklevel=1)
        watched = nd.store.stamp(score, what="second", parameters={})
    parts = [nd.report.Part(score, "First"), nd.report.Part(watched, "Second", remark="Not drawn.")]
    reader = read(nd.report.join(parts, tmp_path / "run.html", title="Two"))
    links = [a["href"] for t, a in reader.tags if t == "a"]
    assert links == ["#result-1", "#result-2"]
    assert {"result-1", "result-2"} <= {a.get("id") for _, a in reader.tags}
    rows = [[t for t, _ in r] for r in reader.cells]
    assert ["First", "spatial.decode", "not recorded"] in rows
    assert ["Second", "second", "1"] in rows
    text = "".join(reader.text)
    assert "UserWarning: look out" in text
    assert "Not drawn." in text


def test_stamps_of_arrays_inside_are_told_too(score, tmp_path):
    tested = nd.inference.with_tests(score)
    other = nd.store.stamp(tested["p"], what="their.own", parameters={"b": 3})
    text = "".join(read(nd.report.page(tested.assign(p=other), tmp_path / "run.html")).text)
    assert "Parameters of p (their.own)" in text
    assert text.count("Parameters (spatial.decode)") >= 1
    assert "of score" not in text, "the score's stamp is that of the whole"


def test_tidy_finds_no_fault(score, figure, tmp_path):
    if shutil.which("tidy") is None:
        pytest.skip("tidy is not installed")
    parts = [nd.report.Part(score, "one", [figure]), nd.report.Part(nd.inference.with_tests(score), "two")]
    out = nd.report.join(parts, tmp_path / "run.html", title="Two", steps=["a", "b"])
    done = subprocess.run(["tidy", "-q", "-e", str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------------------------------- warnings
def test_warnings_are_kept_once_and_still_shown(score):
    with warnings.catch_warnings(record=True) as shown, nd.store.noting() as said:
        warnings.simplefilter("always")
        for words in ("few", "few", "many"):
            warnings.warn(words, UserWarning, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        made = nd.store.stamp(score, what="mine", parameters={})
    assert {str(w.message) for w in shown} == {"few", "many", "old"}
    assert said == ["UserWarning: few", "UserWarning: many", "DeprecationWarning: old"]
    assert nd.store.provenance(made)["warnings"] == said


def test_no_watch_no_word_and_a_quiet_watch_says_so(score):
    hook = warnings.showwarning
    assert "warnings" not in nd.store.provenance(nd.store.stamp(score, what="mine", parameters={}))
    assert nd.store.with_warnings(score) is score
    with nd.store.noting():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.warn("hushed by its caller", UserWarning, stacklevel=1)
        assert nd.store.provenance(nd.store.stamp(score, what="mine", parameters={}))["warnings"] == []
        bare = xr.DataArray([1.0])
        assert nd.store.with_warnings(bare) is bare
    assert warnings.showwarning is hook


def test_a_watch_inside_another_tells_both(score):
    with warnings.catch_warnings(record=True), nd.store.noting() as outer:
        warnings.warn("first", UserWarning, stacklevel=1)
        with nd.store.noting() as inner:
            warnings.warn("second", UserWarning, stacklevel=1)
    assert inner == ["UserWarning: second"]
    assert outer == ["UserWarning: first", "UserWarning: second"]


def test_warnings_of_what_a_result_was_made_of_are_told(score, tmp_path):
    with warnings.catch_warnings(record=True), nd.store.noting():
        warnings.warn("of the scores", UserWarning, stacklevel=1)
        first = nd.store.stamp(score, what="spatial.decode", parameters={})
    with nd.store.noting():
        second = nd.store.stamp(score, what="mine", parameters={"scores": first.attrs["provenance"]})
    assert "UserWarning: of the scores" in "".join(read(nd.report.page(second, tmp_path / "run.html")).text)


def test_warnings_come_through_a_file(score, tmp_path):
    with warnings.catch_warnings(record=True), nd.store.noting():
        made = nd.store.stamp(score, what="mine", parameters={})
        warnings.warn(EVIL, UserWarning, stacklevel=1)
        inputs.write(made, inputs.Inputs({}, {}, {}), tmp_path / "made.nc")
    reader = read(nd.report.page(tmp_path / "made.nc", tmp_path / "run.html"))
    require_alone(reader)
    assert f"UserWarning: {EVIL}" in "".join(reader.text)
    assert "1 warning was raised" in "".join(reader.text)


# ------------------------------------------------------------------------------------------------------ the command
@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    features = nd.brain.features(rng.normal(size=(24, 3)), stimulus=NAMES)
    nd.save(features, tmp_path / "features.nc")
    values = features.values @ rng.normal(size=(3, 6)) * 5 + rng.normal(size=(24, 6)) * 1e-3
    split = ["train"] * 16 + ["test"] * 8
    betas = nd.brain.fmri(values, sample=NAMES, stimulus=NAMES, split=split, roi=["V1"] * 6, subject=EVIL)
    nd.save(betas, tmp_path / "sub-01.nc")
    return tmp_path


def run(*words) -> int:
    return cli.main([str(w) for w in words])


def test_a_command_leaves_a_page_with_its_warnings(files, monkeypatch, capsys):
    def draw(result, dims, folder):
        folder.mkdir()
        made = plt.figure()
        made.savefig(folder / "drawn.png")
        plt.close(made)

    monkeypatch.setattr("neurodecode.cli.pages.draw", draw)
    said = [
        "--responses",
        files / "sub-01.nc",
        "--features",
        files / "features.nc",
        "--out",
        files / "decode.nc",
    ]
    with pytest.warns(UserWarning, match="the grid's edge"):
        assert run("decode", *said, "--page") == 0
    kept = nd.store.provenance(nd.load(files / "decode.nc"))["warnings"]
    assert len(kept) == 1
    assert "the best alpha lies on the grid's edge" in kept[0]
    reader = read(files / "decode.html")
    require_alone(reader)
    text = "".join(reader.text)
    assert kept[0] in text
    assert EVIL in text
    assert "neurodecode decode --responses" in text
    assert [t for t, _ in reader.tags].count("img") == 1
    again = ["report", files / "decode.nc", "--out", files / "again.html", "--title", "Again"]
    assert run(*again) == 0
    assert kept[0] in "".join(read(files / "again.html").text)
    assert run(*again) == 2
    assert "exists already; give --overwrite" in capsys.readouterr().err
    assert run(*again, "--overwrite") == 0


def test_the_page_is_checked_before_any_work(files, capsys, monkeypatch):
    def refuse(args):
        raise AssertionError("work began")

    monkeypatch.setattr("neurodecode.inputs.read", refuse)
    (files / "decode.html").write_text("kept")
    assert run("decode", "--out", files / "decode.nc", "--page") == 2
    assert "decode.html exists already; give --overwrite" in capsys.readouterr().err
    assert (files / "decode.html").read_text() == "kept"
    assert run("report", files / "features.nc", "--out", files / "x.pdf") == 2
    assert "must end in .html" in capsys.readouterr().err


def test_a_result_without_a_figure_still_has_a_page(files, monkeypatch, capsys):
    assert run("report", files / "features.nc", "--out", files / "new" / "x.html") == 0
    assert "There is no figure for results over feature × stimulus" in "".join(
        read(files / "new" / "x.html").text
    )

    def broken(result, dims, folder):
        raise OSError("weight_map.py ended with status 1")

    monkeypatch.setattr("neurodecode.cli.pages.draw", broken)
    nd.save(xr.DataArray(np.zeros((2, 3)), dims=("layer", "voxel")), files / "map.nc")
    assert run("report", files / "map.nc", "--out", files / "y.html") == 0
    assert "ended with status 1" in capsys.readouterr().err
    assert "The figure could not be drawn" in "".join(read(files / "y.html").text)


def test_figures_given_go_to_the_result_they_are_named_after(files, figure, score, capsys):
    for name in ("a", "a_long"):
        nd.save(score, files / f"{name}.nc")
        figure.savefig(files / f"{name}-c.png")
    figure.savefig(files / "other.png")
    results = [files / "a.nc", files / "a_long.nc"]
    pictures = [files / "a-c.png", files / "a_long-c.png"]
    assert run("report", *results, "--figures", *pictures, "--out", files / "x.html") == 0
    page = (files / "x.html").read_text(encoding="utf-8")
    first, second = re.split('id="result-2"', page)
    assert (first.count("<img "), second.count("<img ")) == (1, 1)
    assert "a-c" in first
    assert "a long-c" in second
    assert run("report", *results, "--figures", files / "other.png", "--out", files / "y.html") == 2
    assert "bear the name of none of the 2 results 'a', 'a_long'" in capsys.readouterr().err


def test_figures_of_results_of_one_name_go_to_the_one_beside_them(files, figure, score, capsys):
    for name in ("one", "two"):
        (files / name).mkdir()
        nd.save(score, files / name / "score.nc")
        figure.savefig(files / name / "score-of.png")
    figure.savefig(files / "score.png")
    results = [files / "one" / "score.nc", files / "two" / "score.nc"]
    pictures = [files / "one" / "score-of.png"]
    assert run("report", *results, "--figures", *pictures, "--out", files / "x.html") == 0
    first, second = re.split('id="result-2"', (files / "x.html").read_text(encoding="utf-8"))
    assert (first.count("<img "), second.count("<img ")) == (1, 0)
    assert "one/score" in first
    assert "two/score" in second
    assert run("report", *results, "--figures", files / "score.png", "--out", files / "y.html") == 2
    assert "bears the name of 2 results" in capsys.readouterr().err


def test_a_script_is_watched_from_its_first_line_on(score, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["script.py", "--out", str(tmp_path)])
    with warnings.catch_warnings(record=True):
        args = inputs.arguments("What?", modality="fmri")
        warnings.warn("few subjects", UserWarning, stacklevel=1)
        inputs.write(score, inputs.Inputs({}, {}, {}), args.out / "made.nc")
    assert nd.store.provenance(nd.load(tmp_path / "made.nc"))["warnings"] == ["UserWarning: few subjects"]

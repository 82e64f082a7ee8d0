"""Grids of pictures and curves over iterations draw what they are given, in order, and compute nothing."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

import neurodecode as nd

PICTURE = ("sample", "row", "column", "colour")


def pictures(n=3, seed=0):
    return xr.DataArray(np.random.default_rng(seed).random((n, 4, 4, 3)), dims=PICTURE)


def test_every_picture_stands_in_its_row_and_column() -> None:
    columns = {"shown": pictures(seed=1), "stage 2": pictures(seed=2)}
    figure = nd.plot.reconstructions(columns, names=["a", "b", "c"], note_text="three pictures")
    axes = np.array(figure.axes).reshape(3, 2)
    for column, (title, values) in enumerate(columns.items()):
        assert axes[0, column].get_title() == title
        for row in range(3):
            np.testing.assert_allclose(axes[row, column].images[0].get_array(), values[row])
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["a", "b", "c"]
    assert figure.get_supxlabel() == "three pictures"


def test_pictures_are_matched_by_their_stimulus() -> None:
    """A folder's order is another than that of the responses: by position, pictures stood beside others' truth."""
    made = pictures().assign_coords(sample=["t1", "t2", "t3"], stimulus=("sample", list("abc")))
    shown = pictures(seed=1).rename(sample="stimulus").assign_coords(stimulus=list("cab"))
    figure = nd.plot.reconstructions({"made": made, "shown": shown})
    axes = np.array(figure.axes).reshape(3, 2)
    for row, name in enumerate("abc"):
        np.testing.assert_allclose(axes[row, 0].images[0].get_array(), made[row])
        np.testing.assert_allclose(axes[row, 1].images[0].get_array(), shown.sel(stimulus=name))
    other = shown.assign_coords(stimulus=list("cad"))
    with pytest.raises(ValueError, match=r"'made' by 'stimulus': 1 of 3 are only in 'made' \('b'\); sel"):
        nd.plot.reconstructions({"made": made, "shown": other})
    twice = made.drop_vars("sample").assign_coords(stimulus=("sample", list("abb")))
    with pytest.raises(ValueError, match="'twice' cannot be .* some are there more than once; select"):
        nd.plot.reconstructions({"one": twice[[0, 2, 1]].isel(sample=[1, 0, 2]), "twice": twice})


def test_pictures_of_a_stimulus_that_is_there_twice_are_matched_by_their_sample() -> None:
    first = pictures().assign_coords(sample=["t1", "t2", "t3"], stimulus=("sample", list("aab")))
    second = pictures(seed=1).assign_coords(first.coords)
    figure = nd.plot.reconstructions({"first": first, "second": second[[2, 0, 1]]})
    axes = np.array(figure.axes).reshape(3, 2)
    for row in range(3):
        np.testing.assert_allclose(axes[row, 1].images[0].get_array(), second[row])


def test_pictures_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the same pictures, one or more; they hold \{'a': 3, 'b': 2\}"):
        nd.plot.reconstructions({"a": pictures(), "b": pictures(2)})
    with pytest.raises(ValueError, match="'a' must lie from 0 to 1, found 0.* to 2"):
        nd.plot.reconstructions({"a": 2.1 * pictures().round(0)})


def test_curves_show_mean_and_error_of_every_line() -> None:
    mean = xr.DataArray([[0.1, 0.2], [0.5, 0.4]], dims=("line", "iteration"))
    n = xr.full_like(mean, 40, dtype=int)
    lines = {"line": ["PixCorr", "SSIM"], "iteration": [0, 60]}
    curves = xr.Dataset({"mean": mean, "sem": mean / 10, "n": n}, lines, {"over": "picture"})
    ax = nd.plot.iterations(curves, label="r")
    for line, values in zip(ax.lines, mean.values, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [0, 60])
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert ax.get_ylabel() == "r"
    notes = [t.get_text() for t in ax.texts]
    assert "n = 40 pictures" in notes[0]
    assert "SEM over pictures" in notes[0]
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.09, 0.22))
    one = nd.plot.iterations(curves.assign(sem=mean * np.nan, n=n * 0 + 1))
    assert [t.get_text() for t in one.texts] == ["n = 1 picture; no error band"]
    with pytest.raises(ValueError, match=r"curves lacks the variable\(s\) 'n'; .*inference.group"):
        nd.plot.iterations(curves.drop_vars("n"))


def test_a_table_shows_every_gain_with_its_sign_and_colour() -> None:
    coords = {"metric": ["PixCorr", "Eff"], "better": ("metric", ["higher", "lower"]), "subject": list("abc")}
    before = xr.DataArray([[0.2, 0.3, 0.4], [0.5, 0.6, 0.7]], dims=("metric", "subject"), coords=coords)
    one = nd.metrics.gains(before, before + 0.1, over="subject")
    table = one.expand_dims(system=["lab"])
    figure = nd.plot.metric_table(table, title="Table", note_text="simulated")
    texts = {t.get_text(): t for t in figure.axes[0].texts}
    assert {"PixCorr ↑", "Eff ↓", "lab", ".300", ".400 ± .058", ".700 ± .058"} <= set(texts)
    better, worse = texts["+33.3 %"].get_color(), texts["-16.7 %"].get_color()
    assert better != worse
    assert "n = 3 subjects" in figure.get_supxlabel()
    assert "simulated" in figure.get_supxlabel()


# ------------------------------------------------------------------------------------------ the scripts in figures/
def result(metrics=("PixCorr", "SSIM"), n=3) -> xr.Dataset:
    """What analyses/reconstruct.py leaves, as far as figures read it; the first picture has no value."""
    rng = np.random.default_rng(0)
    value = rng.random((1, 2, len(metrics), n))
    value[..., 0] = np.nan
    shown = (("subject", *PICTURE), rng.random((1, n, 4, 4, 3)))
    per_metric = {
        "better": ("metric", ["higher"] * len(metrics)),
        "chance": ("metric", [np.nan, *[0.5] * (len(metrics) - 1)]),
        "units": ("metric", ["r"] * len(metrics)),
    }
    frames = (("subject", "sample", "frame", *PICTURE[1:]), rng.random((1, n, 2, 4, 4, 3)))
    along = (("subject", "frame", "low_metric", "sample"), value[:, :, :2])
    return xr.Dataset(
        {
            "value": (("subject", "stage", "metric", "sample"), value),
            "along": along,
            "frames": frames,
            **dict.fromkeys(("truth", "imagined", "images"), shown),
        },
        {
            **per_metric, "subject": ["s1"], "stage": [1, 2], "metric": list(metrics), "frame": [0, 9],
            "sample": [f"t{i}" for i in range(n)], "low_metric": ["PixCorr", "SSIM"],
        },
        {"protocol": "lab", "simulated": False, "modality": "fmri", "generator": "diffusion"},
    )  # fmt: skip


@pytest.fixture
def script(monkeypatch):
    """A script of figures/ as a mapping of what it defines."""
    folder = Path(__file__).parents[1] / "figures"
    monkeypatch.syspath_prepend(str(folder))
    return lambda name: runpy.run_path(str(folder / f"{name}.py"))


def words(figure) -> str:
    return " ".join(t.get_text() for t in figure.findobj(Text)).replace("\n", " ")


def test_a_referee_is_named_where_there_is_one(script) -> None:
    gains = script("reconstruct")["gains"]
    assert "referee" not in words(gains(result().isel(sample=slice(1, None))))
    there = result(("PixCorr", "referee centre")).isel(sample=slice(1, None))
    assert "referee: an independent network" in words(gains(there))


def test_pictures_without_a_value_are_not_counted(script) -> None:
    found = result()
    assert "n = 2 pictures; bands: SEM over pictures" in words(script("reconstruct")["curves"](found))
    made = script("generators")["curves"]({"a": found, "b": found.isel(sample=slice(0, 2))}, "PixCorr")
    assert made["n"].values.tolist() == [[2, 2], [1, 1]]
    second = found["along"].values[0, :, 0, 1:]
    np.testing.assert_allclose(made["sem"][0], second.std(axis=1, ddof=1) / np.sqrt(2))
    choices = found[["value"]].expand_dims(keep=["25", "100"]).assign_attrs(choice="keep")
    said = words(script("reconstruction_choices")["panels"](choices))
    assert "n = 2 pictures of 1 subject; bars: SEM; dashed: chance; dotted: the lab's own" in said
    alone = choices.isel(sample=slice(0, 2))
    assert "n = 1 picture of 1 subject; no error bars" in words(
        script("reconstruction_choices")["panels"](alone)
    )


def test_generators_say_which_of_them_are_simulated(script, tmp_path, monkeypatch, capsys) -> None:
    real = result().isel(sample=slice(1, None))
    nd.save(real, tmp_path / "real.nc")
    nd.save(real.assign_attrs(simulated=True, modality="eeg"), tmp_path / "lab.nc")
    files = [str(tmp_path / name) for name in ("lab.nc", "real.nc")]
    monkeypatch.setattr("sys.argv", ["generators.py", *files, "--out", str(tmp_path)])
    script("generators")["main"]()
    said = capsys.readouterr().out
    assert "eeg (2), diffusion, simulated" in said
    assert "fmri (2), diffusion |" in said

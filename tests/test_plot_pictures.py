"""Grids of pictures and curves over iterations draw what they are given, in order, and compute nothing."""

import numpy as np
import pytest
import xarray as xr

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
    twice = made.assign_coords(stimulus=("sample", list("abb")))
    with pytest.raises(ValueError, match="'twice' cannot be .* some are there more than once; select"):
        nd.plot.reconstructions({"one": twice[[0, 2, 1]].isel(sample=[1, 0, 2]), "twice": twice})


def test_pictures_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the same pictures, one or more; they hold \{'a': 3, 'b': 2\}"):
        nd.plot.reconstructions({"a": pictures(), "b": pictures(2)})
    with pytest.raises(ValueError, match="'a' must lie from 0 to 1, found 0.* to 2"):
        nd.plot.reconstructions({"a": 2.1 * pictures().round(0)})


def test_curves_show_mean_and_error_of_every_line() -> None:
    mean = xr.DataArray([[0.1, 0.2], [0.5, 0.4]], dims=("line", "iteration"))
    curves = xr.Dataset({"mean": mean, "sem": mean / 10}, {"line": ["PixCorr", "SSIM"], "iteration": [0, 60]})
    curves.attrs = {"n": 40, "over": "pictures"}
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

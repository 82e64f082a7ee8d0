"""labels.py: what is refused, in which words, and that rows meet by label whatever their order."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurodecode import brain, labels

quick = settings(max_examples=25, deadline=None)
# NumPy drops a NUL at the end of a text, and pandas does not.
text = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6)
names = st.lists(text, min_size=1, max_size=12, unique=True)
words = st.sampled_from(["katze", "häuser", "猫", "", " ", "img_0", "nan"])


def responses(sample, stimulus=None):
    sample = list(sample)
    values = np.arange(2.0 * len(sample)).reshape(-1, 2)
    return brain.fmri(values, sample=sample, stimulus=sample if stimulus is None else stimulus)


def features(stimulus):
    stimulus = list(stimulus)
    return brain.features(np.arange(3.0 * len(stimulus)).reshape(-1, 3), stimulus=stimulus)


# ------------------------------------------------------------------------------------------ words
def test_listed_shows_the_first_and_counts_the_rest():
    assert labels.listed(range(10), most=3) == "0, 1, 2 and 7 more"
    assert labels.listed(iter("ab")) == "'a', 'b'"
    assert labels.listed([]) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.str_("ä"), "'ä'"),
        (np.int64(3), "3"),
        (np.float32(0.5), "0.5"),
        (np.datetime64("2020-01-02T00:00:00", "ns"), "'2020-01-02T00:00:00.000000000'"),
        (None, "None"),
    ],
)
def test_quoted_writes_what_a_user_would_type(value, shown):
    assert labels.quoted(value) == shown
    assert labels.listed([value]) == shown


def test_require_choice_names_the_value_and_the_allowed():
    labels.require_choice("mean", ("mean", "l2"), what="reduce")
    labels.require_choice(np.int64(1), (1, 0, -1), what="tail")  # as attributes of a file give it
    with pytest.raises(ValueError, match=r"unknown reduce 'max'; choose one of 'mean', 'l2'"):
        labels.require_choice("max", ("mean", "l2"), what="reduce")


@quick
@given(st.lists(words, min_size=1, max_size=20))
def test_groups_number_labels_by_first_appearance(given_labels):
    numbers, first = labels.groups(np.array(given_labels))
    order = list(dict.fromkeys(given_labels))
    assert [order[i] for i in numbers] == given_labels
    assert [given_labels.index(x) for x in order] == first.tolist()


kept = (
    words | st.integers(-5, 5) | st.booleans() | st.none() | st.tuples(words, words) | st.binary(max_size=3)
)


@quick
@given(st.lists(kept, max_size=8))
def test_labels_become_an_array_each_as_it_is(values):
    array = labels.as_labels(values)
    assert array.shape == (len(values),)
    # NumPy drops a NUL at the end of bytes, as of text.
    assert [v.rstrip(b"\0") if isinstance(v, bytes) else v for v in values] == [
        v.rstrip(b"\0") if isinstance(v, bytes) else v for v in array.tolist()
    ]


# ------------------------------------------------------------------------------------------ dims and coordinates
@pytest.mark.parametrize("thing", [np.zeros((2, 2)), [[1.0]], pd.DataFrame({"a": [1]}), None])
def test_require_dims_wants_a_labelled_array(thing):
    with pytest.raises(TypeError, match=rf"epochs must be.*not {type(thing).__name__}.*neurodecode\.brain"):
        labels.require_dims(thing, ["sample"], who="epochs")


def test_require_dims_names_the_missing_and_the_present():
    with pytest.raises(ValueError, match=r"epochs needs.*'time' but has \('sample', 'voxel'\).*\(2, 2\)"):
        labels.require_dims(responses("ab"), ["sample", "time"], who="epochs")


def test_require_coord_names_the_missing_and_the_present():
    with pytest.raises(
        ValueError, match=r"runs has no coordinate 'run'; it has 'sample', 'stimulus', 'voxel'"
    ):
        labels.require_coord(responses("ab"), "run", who="runs")


def test_require_coord_refuses_one_of_another_dimension():
    array = responses("ab").assign_coords(run=3)
    assert labels.require_coord(array, "run", who="x").item() == 3
    with pytest.raises(ValueError, match=r"'run' of x must have one entry for each 'sample'.*\(\)"):
        labels.require_coord(array, "run", who="x", dim="sample")


# ------------------------------------------------------------------------------------------ unique
def test_duplicates_are_counted_and_the_first_is_shown_with_its_positions():
    array = xr.DataArray(np.zeros(6), dims="sample", coords={"sample": list("cbabca")})
    with pytest.raises(
        ValueError, match=r"data has 3 duplicate 'sample'.*among 6, first 'c' at positions 0, 4;.*unique id"
    ):
        labels.require_unique(array, "sample", who="data")


@pytest.mark.parametrize(
    "column", [[1, 1], pd.array(["a", "a"], dtype="str"), np.array([1, 1], dtype=object)]
)
def test_duplicates_are_found_in_every_kind_of_label(column):
    array = xr.DataArray(np.zeros(2), dims="sample", coords={"sample": column})
    with pytest.raises(ValueError, match="1 duplicate"):
        labels.require_unique(array, "sample", who="data")


@quick
@given(st.lists(words | st.integers(0, 3), max_size=8))
def test_unique_means_as_many_different_labels_as_labels(column):
    array = xr.DataArray(
        np.zeros(len(column)), dims="sample", coords={"sample": np.array(column, dtype=object)}
    )
    if len(set(column)) == len(column):
        labels.require_unique(array, "sample", who="data")
    else:
        with pytest.raises(ValueError, match="duplicate"):
            labels.require_unique(array, "sample", who="data")


# ------------------------------------------------------------------------------------------ finite
def test_nan_and_infinity_are_counted_and_placed():
    array = responses("abc").copy()
    array[1, 0], array[2, 1], array[2, 0] = np.nan, np.inf, -np.inf
    with pytest.raises(
        ValueError,
        match=r"data has 1 NaN and 2 infinite of 6 values \(2 of 3 in 'sample', 2 of 2 in 'voxel'\), "
        r"first at sample b, voxel 0; drop or interpolate",
    ):
        labels.require_finite(array, who="data")


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_value_is_found_in_every_dtype_and_place(kind, bad):
    for place in range(4):
        values = np.ones(4, dtype=kind)
        values[place] = bad
        with pytest.raises(ValueError, match=f"first at sample {place};"):
            labels.require_finite(xr.DataArray(values, dims="sample"), who="data")


@quick
@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4)))
def test_require_finite_agrees_with_numpy(values):
    array = xr.DataArray(values)
    if np.isfinite(values).all():
        labels.require_finite(array, who="data")
    else:
        with pytest.raises(
            ValueError, match=f"{np.isnan(values).sum()} NaN and {np.isinf(values).sum()} inf"
        ):
            labels.require_finite(array, who="data")


@pytest.mark.parametrize(
    "values",
    [np.full(4, 1e308), np.full(4, 60000, np.float16), np.full(4, 3e38, np.float32), np.ones(3, int), [True]],
)
def test_large_but_finite_values_pass(values):
    labels.require_finite(xr.DataArray(values), who="data")


def test_lazy_values_are_checked_too():
    da = pytest.importorskip("dask.array")
    array = xr.DataArray(da.from_array(np.array([[1.0, np.nan], [0, 0]]), chunks=1), dims=("sample", "voxel"))
    with pytest.raises(ValueError, match="1 NaN and 0 infinite of 4"):
        labels.require_finite(array, who="data")


# ------------------------------------------------------------------------------------------ same
def test_equal_labels_pass():
    labels.require_same(responses("abc"), responses("abc"), "sample")


def test_unequal_labels_say_how_many_where_and_both_values():
    with pytest.raises(
        ValueError,
        match=r"responses and features disagree on 2 of 3 'sample' labels, first at position 1: 'b' against 'x'; "
        "they are not the same labels",
    ):
        labels.require_same(responses("abc"), responses("axy"), "sample")


def test_shuffled_labels_say_so_and_the_remedy_works():
    a, b = responses("abc"), responses("cab")
    with pytest.raises(ValueError, match=r"same in another order: use right\.sel\(sample=left\.sample\)"):
        labels.require_same(a, b, "sample", who=("left", "right"))
    labels.require_same(a, b.sel(sample=a.sample), "sample")


def test_another_number_of_labels_names_those_in_one_only():
    with pytest.raises(
        ValueError, match=r"responses has 3 'sample' labels and features has 2;.*: 'b'; select"
    ):
        labels.require_same(responses("abc"), responses("ac"), "sample")
    with pytest.raises(ValueError, match=r"has 2 'sample' labels and features has 4;.*: 'c', 'd'; select"):
        labels.require_same(responses("ab"), responses("abcd"), "sample")


def test_numbers_against_text_say_so():
    with pytest.raises(
        ValueError, match=r"1 against '1'; the labels are int64 in one and <U1 in the other: make"
    ):
        labels.require_same(responses([1, 2]), responses(["1", "2"]), "sample")


def test_missing_labels_are_named():
    bare = responses("ab").drop_vars("sample")
    with pytest.raises(ValueError, match=r"features has no coordinate 'sample'"):
        labels.require_same(responses("ab"), bare, "sample")


def test_two_missing_labels_are_equal():
    fitted = xr.DataArray(np.zeros(3), dims="feature", coords={"layer": ("feature", [1.0, np.nan, 2.0])})
    labels.require_axis(fitted, fitted.copy(), "feature", who="features")
    other = fitted.assign_coords(layer=("feature", [1.0, np.nan, np.nan]))
    with pytest.raises(
        ValueError, match="differ from the fit in the 'layer' of 1 of 3 features, first at position 2"
    ):
        labels.require_axis(fitted, other, "feature", who="features")
    left, right = (np.array(x, dtype=object) for x in (["a", None, pd.NA, pd.NA], ["a", np.nan, None, "b"]))
    assert labels.differing(left, right).tolist() == [False, False, False, True]


@quick
@given(names, st.randoms(use_true_random=False))
def test_any_other_order_is_refused(column, random):
    shuffled = column.copy()
    random.shuffle(shuffled)
    if shuffled == column:
        labels.require_same(responses(column), responses(shuffled), "sample")
    else:
        with pytest.raises(ValueError, match="in another order"):
            labels.require_same(responses(column), responses(shuffled), "sample")


# ------------------------------------------------------------------------------------------ match
@quick
@given(names, st.data())
def test_match_gives_each_sample_the_row_of_its_stimulus(column, data):
    """Against pandas' own lookup by label, for repeats and any order of both tables."""
    seen = data.draw(st.lists(st.sampled_from(column), min_size=1, max_size=20))
    table = features(data.draw(st.permutations(column)))
    array = responses([f"s{i}" for i in range(len(seen))], seen)
    matched = labels.match(table, array)
    expected = pd.DataFrame(table.values, index=table.stimulus.values).loc[seen]
    np.testing.assert_array_equal(matched.values, expected.values)
    assert matched.dims == ("sample", "feature")
    xr.testing.assert_identical(matched.stimulus.variable, array.stimulus.variable)
    assert matched.sample.values.tolist() == array.sample.values.tolist()


@quick
@given(names, st.data())
def test_samples_moved_with_their_labels_change_nothing(column, data):
    array, table = responses(column), features(data.draw(st.permutations(column)))
    order = data.draw(st.permutations(range(len(column))))
    np.testing.assert_array_equal(
        labels.match(table, array.isel(sample=order)), labels.match(table, array).isel(sample=order)
    )


def test_match_refuses_stimuli_without_features_and_counts_them():
    array = responses(range(5), list("axbxy"))
    with pytest.raises(
        ValueError,
        match=r"features lack 2 of the 4 stimuli in responses \(3 of 5 samples\): 'x', 'y'; "
        r"features are there for 'a', 'b', 'c'; add",
    ):
        labels.match(features("abc"), array)


@pytest.mark.parametrize(
    ("seen", "there"), [([0, 3], ["0", "3"]), (["0", "3"], [0, 3]), ([7, 8], ["a", "b"])]
)
def test_match_of_numbers_and_text_shows_both_and_says_so(seen, there):
    with pytest.raises(
        ValueError,
        match=rf"lack 2 of the 2 .*: {seen[0]!r}, {seen[1]!r}; features are there for {there[0]!r}, {there[1]!r}; "
        r"the labels are \S+ in one and \S+ in the other: make both text or both numbers",
    ):
        labels.match(features(there), responses(["s0", "s1"], seen))


@pytest.mark.parametrize("name", ["feature", "layer", "unit"])
def test_match_refuses_sample_labels_that_bear_a_name_of_features(name):
    array = responses("ab").assign_coords({name: ("sample", [1, 2])})
    table = brain.features(np.eye(2), stimulus=["a", "b"], layer="l")
    with pytest.raises(
        ValueError, match=rf"'{name}' along 'sample'.*responses.rename\({name}='sample_{name}'\)"
    ):
        labels.match(table, array)
    renamed = array.rename({name: f"sample_{name}"})
    np.testing.assert_array_equal(labels.match(table, renamed), np.eye(2))


def test_match_refuses_features_given_twice():
    twice = features("ab").isel(stimulus=[0, 1, 0])
    with pytest.raises(ValueError, match="features has 1 duplicate 'stimulus'.*first 'a' at positions 0, 2"):
        labels.match(twice, responses("ab"))


def test_match_refuses_responses_that_do_not_say_what_was_seen():
    with pytest.raises(ValueError, match="responses has no coordinate 'stimulus'"):
        labels.match(features("ab"), responses("ab").drop_vars("stimulus"))
    with pytest.raises(ValueError, match=r"one entry for each 'sample'"):
        labels.match(features("ab"), responses("ab").drop_vars("stimulus").assign_coords(stimulus="a"))


def test_match_takes_features_per_sample_only_in_the_very_order():
    array = responses(["s0", "s1", "s2"], list("aab"))
    own = labels.match(features("ab"), array)
    per_sample = own.drop_vars("stimulus")
    assert labels.match(per_sample, array).stimulus.values.tolist() == list("aab")
    np.testing.assert_array_equal(labels.match(per_sample.T, array), own)
    with pytest.raises(ValueError, match=r"responses and features disagree.*another order"):
        labels.match(per_sample.isel(sample=[1, 0, 2]), array)
    with pytest.raises(ValueError, match="responses has 3 'sample' labels and features has 2"):
        labels.match(per_sample.isel(sample=[0, 1]), array)


def test_match_takes_pandas_strings_and_datetimes():
    days = pd.date_range("2020-01-01", periods=3)
    array = responses("abc", days)
    table = xr.DataArray(np.eye(3), dims=("stimulus", "feature"), coords={"stimulus": days[::-1]})
    np.testing.assert_array_equal(labels.match(table, array), np.eye(3)[::-1])
    frame = pd.DataFrame({"stimulus": pd.array(["b", "a"], dtype="str")})
    array = xr.DataArray(np.zeros((2, 1)), dims=("sample", "voxel"), coords={"sample": [0, 1]})
    array = array.assign_coords(stimulus=("sample", frame["stimulus"]))
    np.testing.assert_array_equal(labels.match(features("ab"), array), features("ab").values[::-1])


# ------------------------------------------------------------------------------------------ memory
def test_too_large_an_allocation_is_refused_with_numbers_and_remedy(monkeypatch):
    free = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=10 * 2**30))
    monkeypatch.setitem(sys.modules, "psutil", free)
    labels.require_memory(8 * 2**30, what="weights", remedy="use fewer")
    with pytest.raises(
        MemoryError, match=r"weights would need about 8\.5 GiB but only 10\.0 GiB.*limit: 80%.*use fewer"
    ):
        labels.require_memory(int(8.5 * 2**30), what="weights", remedy="use fewer")

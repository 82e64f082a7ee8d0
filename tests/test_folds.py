"""folds.py: which samples train and which test, and that nothing leaks from one to the other."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import model_selection

from neurodecode import brain, folds

quick = settings(max_examples=40, deadline=None)
stimuli = st.lists(st.sampled_from("abcdef"), min_size=2, max_size=20)


def responses(stimulus, **more):
    stimulus = list(stimulus)
    sample = [f"s{i}" for i in range(len(stimulus))]
    return brain.fmri(np.zeros((len(stimulus), 2)), **{"sample": sample, "stimulus": stimulus, **more})


def parts(found):
    return [(f.train.tolist(), f.test.tolist()) for f in found]


def of(pairs):
    return [(a.tolist(), b.tolist()) for a, b in pairs]


# ------------------------------------------------------------------------------------------ train and test
def test_the_split_coordinate_is_the_default():
    array = responses("abcd", split=["train", "test", "train", "other"])
    (fold,) = folds.splits(array)
    assert fold.name == "test"
    assert parts([fold]) == [([0, 2], [1])]
    assert parts(folds.splits(array, test="other")) == [([0, 2], [3])]


IDS = ["s3", "s0"]
ROWS = np.array([True, False, False, True])


@pytest.mark.parametrize(
    ("which", "rows"),
    [
        (IDS, [3, 0]),
        (tuple(IDS), [3, 0]),
        (np.array(IDS), [3, 0]),
        (pd.Series(IDS, dtype="str"), [3, 0]),
        (xr.DataArray(IDS), [3, 0]),
        (dict.fromkeys(IDS), [3, 0]),
        ({"s3"}, [3]),
        (iter(IDS), [3, 0]),
        (ROWS, [0, 3]),
        (ROWS.tolist(), [0, 3]),
        (pd.Series(ROWS), [0, 3]),
        (xr.DataArray(ROWS), [0, 3]),
        ("test", [0, 3]),
    ],
)
def test_samples_are_named_by_ids_mask_or_split(which, rows):
    array = responses("abcd", split=["test", "train", "train", "test"])
    assert folds.select(array, which, who="test").tolist() == rows
    if not hasattr(which, "__next__"):
        assert parts(folds.splits(array, train=["s1", "s2"], test=which)) == [([1, 2], rows)]


def test_ids_follow_their_samples():
    array = responses("abcd")
    moved = array.isel(sample=[2, 0, 3, 1])
    (fold,) = folds.splits(moved, train=["s0", "s1"], test=["s2", "s3"])
    assert moved.sample.values[fold.train].tolist() == ["s0", "s1"]
    assert moved.sample.values[fold.test].tolist() == ["s2", "s3"]


def test_a_labelled_mask_of_shuffled_samples_is_refused():
    array = responses("abcd")
    mask = xr.DataArray(ROWS, dims="sample", coords={"sample": array.sample})
    assert folds.select(array, mask, who="test").tolist() == [0, 3]
    with pytest.raises(ValueError, match="responses and the mask for test disagree on 2 of 4.*another order"):
        folds.select(array, mask.isel(sample=[1, 0, 2, 3]), who="test")
    column = pd.Series(ROWS, index=array.sample.values)
    assert folds.select(array, column, who="test").tolist() == [0, 3]
    with pytest.raises(ValueError, match="responses and the mask for test disagree on 4 of 4.*another order"):
        folds.select(array, column[::-1], who="test")
    with pytest.raises(
        ValueError, match=r"not the same labels.*; or, if it goes by position, give its \.values"
    ):
        folds.select(array, pd.Series(ROWS, index=[2, 3, 5, 7]), who="test")
    of_stimuli = mask.rename(sample="stimulus")
    with pytest.raises(ValueError, match="mask for test lies along 'stimulus', not 'sample'"):
        folds.select(array, of_stimuli, who="test")


def test_ids_may_be_numbers_or_days_and_are_no_positions():
    array = responses("abc", sample=[20, 10, 0])
    assert parts(folds.splits(array, train=[0, 10], test=[20])) == [([2, 1], [0])]
    with pytest.raises(
        ValueError, match=r"1 of 2 sample ids in test are not in responses: 1; ids are labels of"
    ):
        folds.splits(array, train=[10], test=[0, 1])
    days = pd.date_range("2020-01-01", periods=3)
    array = responses("abc", sample=days)
    assert parts(folds.splits(array, train=days[:2], test=[days[2]])) == [([0, 1], [2])]


def test_unknown_names_ids_and_masks_are_refused_with_the_known():
    array = responses("abcd", split=["train", "train", "test", "test"])
    with pytest.raises(ValueError, match=r"test='valid' is no value of 'split'; there are 'test', 'train'"):
        folds.splits(array, test="valid")
    with pytest.raises(ValueError, match="responses has no coordinate 'split'; it has"):
        folds.splits(responses("ab"), train="train", test="test")
    with pytest.raises(ValueError, match="2 of 3 sample ids in train are not in responses: 'x', 'y'"):
        folds.splits(array, train=["s0", "x", "y"], test=["s3"])
    with pytest.raises(ValueError, match=r"the mask for train has the shape \(3,\) but there are 4 along"):
        folds.splits(array, train=[True, False, True], test=["s3"])
    with pytest.raises(ValueError, match="1 sample ids occur more than once in train: 's0'; name each once"):
        folds.splits(array, train=["s0", "s1", "s0"], test=["s3"])
    with pytest.raises(ValueError, match="train must be sample ids, a mask or the name of a split, not 3"):
        folds.splits(array, train=3, test=["s3"])


def test_nothing_named_says_what_to_name():
    with pytest.raises(
        ValueError, match=r"say which samples train and which test: folds=.*'split' coordinate"
    ):
        folds.splits(responses("ab"))
    for said, lacking in (("train", "test"), ("test", "train")):
        with pytest.raises(
            ValueError, match=rf"^{said}= was given without {lacking}=.*give {lacking}=\.\.\. too.*or folds="
        ):
            folds.splits(responses("ab"), **{said: ["s0"]})
    # With a split, the part that was not given is the one of its name.
    array = responses("abc", split=["train", "train", "test"])
    assert parts(folds.splits(array, train=["s0"])) == [([0], [2])]
    with pytest.raises(ValueError, match=r"either folds=\.\.\. or train"):
        folds.splits(responses("ab"), folds=2, train=["s0"])
    with pytest.raises(ValueError, match="responses needs the dimension"):
        folds.splits(brain.features(np.eye(2), stimulus=["a", "b"]), folds=2)
    with pytest.raises(
        ValueError, match=r"folds must be a number, a sample coordinate's name or a splitter, not \["
    ):
        folds.splits(responses("ab"), folds=[1, 2])


@pytest.mark.parametrize("nothing", [[], np.zeros(2, bool)])
def test_an_empty_part_is_refused(nothing):
    with pytest.raises(ValueError, match="the training part of fold 'test' is empty"):
        folds.splits(responses("ab"), train=nothing, test=["s1"])
    with pytest.raises(ValueError, match="the test part of fold 'test' is empty"):
        folds.splits(responses("ab"), train=["s1"], test=nothing)


# ------------------------------------------------------------------------------------------ K folds
@quick
@given(stimuli, st.data())
def test_k_folds_partition_the_samples_and_share_no_stimulus(seen, data):
    distinct = list(dict.fromkeys(seen))
    if len(distinct) < 2:
        return
    k = data.draw(st.integers(2, len(distinct)))
    found = folds.splits(responses(seen), folds=k)
    assert len(found) == k
    assert sorted(np.concatenate([f.test for f in found]).tolist()) == list(range(len(seen)))
    for fold in found:
        assert sorted([*fold.train, *fold.test]) == list(range(len(seen)))
        assert not {seen[i] for i in fold.train} & {seen[i] for i in fold.test}
    # Unshuffled: blocks of stimuli in the order in which they appear, of sizes that differ by one at most.
    blocks = [list(dict.fromkeys(seen[i] for i in f.test)) for f in found]
    assert sum(blocks, []) == distinct
    assert max(map(len, blocks)) - min(map(len, blocks)) <= 1


@pytest.mark.parametrize("k", [2, 3, 6])
def test_k_folds_of_single_stimuli_are_those_of_scikit_learn(k):
    found = folds.splits(responses("fedcba"), folds=k)
    assert parts(found) == of(model_selection.KFold(k).split(np.zeros(6)))
    assert [f.name for f in found] == [f"fold {i + 1}" for i in range(k)]


def test_k_folds_without_stimuli_go_by_sample():
    array = responses("aaaa").drop_vars("stimulus")
    assert parts(folds.splits(array, folds=2)) == [([2, 3], [0, 1]), ([0, 1], [2, 3])]


@pytest.mark.parametrize("k", [-1, 0, 1, 4, True])
def test_k_must_fit_the_stimuli(k):
    with pytest.raises(
        ValueError, match=rf"folds={int(k)} must be from 2 to 3, the number of different 'stimulus'"
    ):
        folds.splits(responses("abca"), folds=k)


# ------------------------------------------------------------------------------------------ leave one value out
@quick
@given(
    st.lists(st.sampled_from(["r1", "r2", "猫"]), min_size=2, max_size=12).filter(lambda r: len(set(r)) > 1)
)
def test_leaving_one_value_out_is_that_of_scikit_learn(run):
    array = responses(range(len(run)), run=run)
    found = folds.splits(array, folds="run")
    theirs = of(model_selection.LeaveOneGroupOut().split(np.zeros(len(run)), groups=run))
    assert sorted(parts(found)) == sorted(theirs)
    assert [f.name for f in found] == [f"run={r}" for r in dict.fromkeys(run)]


def test_leaving_one_out_takes_numbers_and_days():
    array = responses(
        "abcd", run=[2, 2, 10, 10], session=pd.to_datetime(["2020-01-02"] * 3 + ["2020-01-01"]).as_unit("ns")
    )
    assert [f.name for f in folds.splits(array, folds="run")] == ["run=2", "run=10"]
    by_day = folds.splits(array, folds="session")
    assert [f.name[:18] for f in by_day] == ["session=2020-01-02", "session=2020-01-01"]
    assert parts(by_day) == [([3], [0, 1, 2]), ([0, 1, 2], [3])]


def test_leaving_one_out_needs_a_sample_coordinate_of_two_values():
    with pytest.raises(
        ValueError, match=r"folds='session' is no sample coordinate; there are 'run', 'sample', 'stim"
    ):
        folds.splits(responses("ab", run=[1, 2]), folds="session")
    with pytest.raises(ValueError, match="folds='roi' is no sample coordinate"):
        folds.splits(responses("ab", roi=["V1", "V2"]), folds="roi")
    with pytest.raises(ValueError, match="leaving one 'run' out needs at least 2 values, found 1"):
        folds.splits(responses("ab", run=1), folds="run")


# ------------------------------------------------------------------------------------------ splitters
@quick
@given(stimuli.filter(lambda s: len(set(s)) > 2))
def test_a_group_splitter_gets_the_stimuli_as_groups(seen):
    for splitter in (model_selection.GroupKFold(3), model_selection.LeaveOneGroupOut()):
        found = folds.splits(responses(seen), folds=splitter)
        assert parts(found) == of(splitter.split(np.zeros(len(seen)), groups=np.array(seen)))


def test_other_splitters_are_taken_and_guarded():
    array = responses("abcdef")
    splitter = model_selection.ShuffleSplit(4, random_state=0)
    assert parts(folds.splits(array, folds=splitter)) == of(splitter.split(np.zeros(6)))
    with pytest.raises(ValueError, match="training and test of fold 'fold 1' share 1 of 1 test stimuli: 'a'"):
        folds.splits(responses("aabb"), folds=model_selection.LeaveOneOut())
    strata = model_selection.StratifiedKFold(2)
    found = folds.splits(responses("aabb"), folds=strata, shared="stimulus")
    assert parts(found) == of(strata.split(np.zeros(4), list("aabb")))


def test_a_splitter_gives_positions_and_no_masks():
    class Masks:
        def split(self, x, y, groups):
            yield np.array([True, True, False]), np.array([False, False, True])

    with pytest.raises(
        ValueError, match="must give positions of samples, but gave 'bool' in 'fold 1'; .*flatnonzero"
    ):
        folds.splits(responses("abc"), folds=Masks())


# ------------------------------------------------------------------------------------------ the guard
def test_a_shared_stimulus_is_refused_and_may_be_asked_for_by_name():
    array = responses("abcab", run=[1, 1, 1, 2, 2])
    words = (
        r"training and test of fold 'run=1' share 2 of 3 test stimuli: 'a', 'b'\. That leaks.*average repeats.*"
        "shared='stimulus'"
    )
    with pytest.raises(ValueError, match=words):
        folds.splits(array, folds="run")
    expected = [([3, 4], [0, 1, 2]), ([0, 1, 2], [3, 4])]
    for asked in ("stimulus", ["stimulus"], {"stimulus", "run"}, "any"):
        assert parts(folds.splits(array, folds="run", shared=asked)) == expected
    with pytest.raises(ValueError, match="That leaks"):
        folds.splits(array, folds="run", shared="run")


def test_shared_must_name_sample_coordinates():
    for wrong in ("stimuli", ["stimulus", "stimuli"]):
        with pytest.raises(
            ValueError, match="shared names no sample coordinate: 'stimuli'; there are 'sample', 'stim"
        ):
            folds.splits(responses("abcd"), folds=2, shared=wrong)
    with pytest.raises(ValueError, match="shared names no sample coordinate: 'voxel'"):
        folds.splits(responses("abcd"), folds=2, shared="voxel")


@pytest.mark.parametrize("shared", [(), "stimulus", "any"])
def test_a_sample_in_both_parts_is_never_allowed(shared):
    with pytest.raises(
        ValueError, match=r"1 sample\(s\) are in training and in test of fold 'test', first 's1'"
    ):
        folds.splits(responses("abc"), train=["s0", "s1"], test=["s1", "s2"], shared=shared)
    bare = responses("abc").drop_vars("sample")
    with pytest.raises(ValueError, match="first 1;"):
        folds.splits(bare, train=[True, True, False], test=[False, True, True], shared=shared)


def test_without_stimuli_there_is_nothing_to_share():
    array = responses("aaaa", run=[1, 1, 2, 2]).drop_vars("stimulus")
    assert parts(folds.splits(array, folds="run")) == [([2, 3], [0, 1]), ([0, 1], [2, 3])]


def test_a_stimulus_that_is_no_label_of_samples_is_refused():
    array = responses("ab", run=[1, 2]).drop_vars("stimulus").assign_coords(stimulus="a")
    with pytest.raises(ValueError, match="'stimulus' of responses must have one entry for each 'sample'"):
        folds.splits(array, folds="run")


@quick
@given(stimuli, st.data())
def test_the_guard_finds_exactly_the_shared_stimuli(seen, data):
    train = data.draw(st.lists(st.booleans(), min_size=len(seen), max_size=len(seen)))
    test = [not t for t in train]
    array = responses(seen)
    if all(train) or not any(train):
        with pytest.raises(ValueError, match="is empty"):
            folds.splits(array, train=train, test=test)
        return
    both = {s for s, t in zip(seen, train, strict=True) if t} & {
        s for s, t in zip(seen, test, strict=True) if t
    }
    if both:
        with pytest.raises(
            ValueError, match=f"share {len(both)} of .*: {', '.join(map(repr, sorted(both)))}"
        ):
            folds.splits(array, train=train, test=test)
    else:
        assert parts(folds.splits(array, train=train, test=test)) == [
            (np.flatnonzero(train).tolist(), np.flatnonzero(test).tolist())
        ]


# ---------------------------------------------------------------- held out for validation


def _three_splits(n: int = 12) -> xr.DataArray:
    return brain.fmri(
        np.zeros((2 * n, 2)),
        sample=[f"t{i}" for i in range(2 * n)],
        stimulus=[f"img_{i % n}" for i in range(2 * n)],
        split=["test" if i % n >= n - 2 else "train" for i in range(2 * n)],
    ).assign_coords(concept=("sample", [f"concept_{i % n // 2}" for i in range(2 * n)]))


def test_the_last_stimuli_are_held_out_with_all_their_trials():
    found = folds.hold_out(_three_splits(), 3)
    assert set(found.stimulus.values[found.split.values == "validation"]) == {"img_7", "img_8", "img_9"}
    assert (found.split.values == "validation").sum() == 6
    assert set(found.stimulus.values[found.split.values == "test"]) == {"img_10", "img_11"}


def test_a_share_of_concepts_is_drawn_by_seed():
    array = _three_splits()
    found = folds.hold_out(array, 0.4, by="concept", seed=3)
    drawn = set(found.concept.values[found.split.values == "validation"])
    assert len(drawn) == 2
    assert not drawn & set(found.concept.values[found.split.values == "train"])
    np.testing.assert_array_equal(found.split, folds.hold_out(array, 0.4, by="concept", seed=3).split)
    draws = {tuple(folds.hold_out(array, 0.4, by="concept", seed=s).split.values) for s in range(9)}
    assert len(draws) > 1


def test_what_cannot_be_held_out():
    array = _three_splits()
    with pytest.raises(ValueError, match="10 of 10 values of 'stimulus' in 'train' cannot be held out"):
        folds.hold_out(array, 10)
    with pytest.raises(ValueError, match="samples in the split 'test' already"):
        folds.hold_out(array, 1, name="test")
    with pytest.raises(ValueError, match="of='val' is no value of 'split'"):
        folds.hold_out(array, 1, of="val")
    torn = array.assign_coords(split=("sample", ["test", *array.split.values[1:]]))
    with pytest.raises(ValueError, match="1 stimuli of 'train' are in other splits too: 'img_0'"):
        folds.hold_out(torn, 1)


def test_a_stimulus_is_never_held_out_in_part():
    array = responses("abcabd", split=["train"] * 6, session=[1, 1, 1, 2, 2, 2])
    with pytest.raises(
        ValueError, match=r"by='session' would leave trials of 2 stimuli on both sides: 'a', 'b'"
    ):
        folds.hold_out(array, 1, by="session")
    apart = responses("abcdef", split=["train"] * 6, session=[1, 1, 1, 2, 2, 2])
    found = folds.hold_out(apart, 1, by="session")
    assert found.split.values.tolist() == ["train"] * 3 + ["validation"] * 3

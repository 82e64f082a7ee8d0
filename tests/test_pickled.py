"""Large arrays in pickled dictionaries stay in their file; nothing in the file is run."""

from __future__ import annotations

import codecs
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodecode.datasets import _pickled
from neurodecode.datasets._files import Source
from neurodecode.datasets._pickled import LARGE, read_dict
from neurodecode.datasets._stored import Held, Stored, stored

SOURCE = Source("Some Data", "some.org")
RNG = np.random.default_rng(0)
MAPPED = {
    "c": RNG.normal(size=(3, 50_000)),
    "f": np.asfortranarray(RNG.normal(size=(3, 50_000))),
    "swapped": RNG.integers(0, 99, size=(70, 10_000)).astype(">i2"),
    "small numbers": RNG.normal(size=(7, 40_000)).astype(np.float32),
    "texts": np.array(["aardvark", "abacus"] * 20_000),
    "complex": RNG.normal(size=150_000) + 1j,
}


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("bare", [True, False])
def test_large_arrays_are_mapped_and_equal_those_that_were_written(tmp_path, protocol, bare):
    turned = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    small = {"small": np.arange(5.0), "names": ["Oz"], "numbers": np.arange(4, dtype=">i2"), "turned": turned}
    path = _write(tmp_path / "a.npy", {**small, **MAPPED}, protocol=protocol, bare=bare)
    found = read_dict(path, tuple(MAPPED), what="data", source=SOURCE)
    for name, value in MAPPED.items():
        assert isinstance(found[name], np.memmap), name
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)
        with pytest.raises(ValueError, match="read-only"):
            found[name][0] = value[0]
    for name, value in small.items():
        assert not isinstance(found[name], np.memmap)
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("protocol", [4, 5])
def test_opening_a_large_array_takes_next_to_no_memory(tmp_path, protocol):
    path = _write(tmp_path / "a.npy", {"data": np.ones((20, 100_000))}, protocol=protocol, bare=True)
    read_dict(path, ("data",), what="data", source=SOURCE)
    tracemalloc.start()
    try:
        found = read_dict(path, ("data",), what="data", source=SOURCE)
        assert found["data"][19, -1] == 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000


class Encoded:
    """Pickled as bytes are in protocols before 3, but in another encoding."""

    def __reduce__(self) -> Any:
        return codecs.encode, ("a", "utf-16")


def test_bytes_of_an_encoding_that_no_protocol_writes(tmp_path):
    path = _write(tmp_path / "a.npy", {"data": Encoded()}, protocol=2, bare=True)
    with pytest.raises(
        ValueError, match="damaged or of another kind: it encodes bytes as utf-16; get it again from"
    ):
        read_dict(path, ("data",), what="data", source=SOURCE)


def test_memory_is_asked_for_where_an_old_protocol_must_be_read(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(_pickled, "require_memory", lambda needed, **_: asked.append(needed))
    data = {"data": np.ones(200_000)}
    for protocol in range(6):
        asked.clear()
        path = _write(tmp_path / f"{protocol}.npy", data, protocol=protocol, bare=True)
        found = read_dict(path, ("data",), what="data", source=SOURCE)["data"]
        np.testing.assert_array_equal(found, data["data"])
        assert isinstance(found, np.memmap) == (protocol > 2)
        assert bool(asked) == (protocol < 3)
    assert not isinstance(
        read_dict(tmp_path / "2.npy", ("data",), what="d", source=SOURCE)["data"], np.memmap
    )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("bare", [True, False])
def test_a_file_that_ends_too_early_is_found_wherever_it_ends(tmp_path, protocol, bare):
    whole = _write(
        tmp_path / "a.npy", {"data": np.ones(200_000), "names": ["Oz"]}, protocol=protocol, bare=bare
    )
    content = whole.read_bytes()
    for size in (1, 2, 20, 90, 150, 300, 5000, LARGE, len(content) - 20, len(content) - 1):
        (tmp_path / "b.npy").write_bytes(content[:size])
        with pytest.raises(ValueError, match="truncated, damaged or of another kind"):
            read_dict(tmp_path / "b.npy", ("data",), what="data", source=SOURCE)


def test_one_large_array_under_two_names_and_in_a_list(tmp_path):
    data = np.arange(300_000.0)
    path = _write(tmp_path / "a.npy", {"a": data, "b": data, "c": [data]}, protocol=4, bare=True)
    found = read_dict(path, ("a", "b", "c"), what="data", source=SOURCE)
    assert found["a"] is found["b"]
    assert found["c"][0] is found["a"]
    np.testing.assert_array_equal(found["b"], data)


@pytest.mark.parametrize("order", ["C", "F"])
def test_where_a_mapped_array_lies_opens_it_again_elsewhere(tmp_path, order):
    data = np.asarray(RNG.normal(size=(4, 50_000)), order=order)
    path = _write(tmp_path / "a.npy", {"a": data}, protocol=4, bare=False)
    mapped = read_dict(path, ("a",), what="data", source=SOURCE)["a"]
    place = stored(mapped)
    assert isinstance(place, Stored)
    sent = pickle.dumps(place)
    assert len(sent) < 2000
    np.testing.assert_array_equal(pickle.loads(sent).open(), data)  # of our own making
    for other in (mapped[1:], mapped.T, data):
        held = stored(other)
        assert isinstance(held, Held)
        np.testing.assert_array_equal(held.open(), other)


# What a pickle can do besides naming functions.
HOSTILE = {
    "an object array of bytes, which would be addresses": (
        b"cnumpy\ndtype\n(X\x01\x00\x00\x00Ot\x52",
        "not of numbers or texts",
    ),
    "more numbers than bytes": (b"cnumpy\ndtype\n(X\x02\x00\x00\x00c8t\x52", "does not fit its"),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_large_array_that_is_not_what_it_says(tmp_path, name):
    dtype, message = HOSTILE[name]
    count = LARGE + 8
    content = b"".join(
        [
            b"\x80\x03}X\x04\x00\x00\x00data",
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01",
            b"J" + (count // 8 * (1 if "object" in name else 2)).to_bytes(4, "little") + b"\x85",
            dtype,
            b"\x89B" + count.to_bytes(4, "little") + bytes(count),
            b"tbs.",
        ]
    )
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_dict(tmp_path / "a.npy", ("data",), what="data", source=SOURCE)


def test_functions_extensions_and_loose_bytes_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    # BUILD would set attributes of the function.
    path.write_bytes(b"\x80\x02cnumpy.core.numeric\n_frombuffer\n}X\x01\x00\x00\x00aK\x01sb.")
    with pytest.raises(ValueError, match="fills a function"):
        read_dict(path, ("data",), what="data", source=SOURCE)
    path.write_bytes(b"\x80\x02\x82\x01.")
    with pytest.raises(ValueError, match="refers to extension 1"):
        read_dict(path, ("data",), what="data", source=SOURCE)
    path.write_bytes(pickle.dumps({"data": bytes(LARGE + 1)}, protocol=4))
    with pytest.raises(ValueError, match="large bytes that are no array under 'data'"):
        read_dict(path, ("data",), what="data", source=SOURCE)


MADE = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
F8 = b"cnumpy\ndtype\nX\x02\x00\x00\x00f8\x85R"
O8 = b"cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R"
ONE = b"K\x01\x85"  # the shape (1,)
FILL = b"(K\x01" + ONE + F8 + b"\x89C\x08AAAAAAAAtb"
# What no writer writes, and what NumPy might follow to memory that is not its own.
UNWRITTEN = {
    "a negative length": (
        MADE + b"(K\x01J\xff\xff\xff\xff\x85" + F8 + b"\x89C\x08AAAAAAAAtb",
        r"an array has the shape \(-1,\)",
    ),
    "numbers as wide as they like": (
        F8 + b"(K\x03X\x01\x00\x00\x00<NNNK\x10K\x08K\x00tb",
        r"it gives float64 the state \(3, '<', None, None, None, 16, 8, 0\)",
    ),
    "an array filled twice": (MADE + FILL + FILL, "it fills an array a second time, or with no type"),
    "an array of no type": (
        MADE + b"(K\x01" + ONE + b"N\x89C\x08AAAAAAAAtb",
        "it fills an array a second time, or with no type",
    ),
    "fewer bytes than numbers": (
        MADE + b"(K\x01K\x02\x85" + F8 + b"\x89C\x08AAAAAAAAtb",
        r"an array \(2,\) of float64 does not fit what fills it",
    ),
    "a list shorter than its array": (
        MADE + b"(K\x01K\x02\x85" + O8 + b"\x89]tb",
        r"an array \(2,\) of object does not fit what fills it",
    ),
    "an address as a single value": (
        b"cnumpy.core.multiarray\nscalar\n" + O8 + b"C\x08AAAAAAAA\x86R",
        "a single value is of object, not a number or text",
    ),
    "a structure": (
        b"cnumpy\ndtype\nX\x05\x00\x00\x00f8,f8\x85R",
        "it names the type 'f8,f8', which is no number or text",
    ),
    "addresses as an array of bytes": (
        b"cnumpy.core.numeric\n_frombuffer\n(C\x08AAAAAAAA" + O8 + ONE + b"X\x01\x00\x00\x00CtR",
        "an array of bytes is of object, not of numbers or texts",
    ),
}


@pytest.mark.parametrize("name", list(UNWRITTEN))
def test_what_no_writer_writes_is_told(tmp_path, name):
    content, message = UNWRITTEN[name]
    (tmp_path / "a.npy").write_bytes(b"\x80\x03}X\x04\x00\x00\x00data" + content + b"s.")
    with pytest.raises(ValueError, match=rf"a\.npy \(data, .*of another kind: {message}; get it again from"):
        read_dict(tmp_path / "a.npy", ("data",), what="data", source=SOURCE)


def test_a_dtype_of_the_process_cannot_be_changed(tmp_path):
    # dtype("f8") without a copy, then its bytes swapped.
    state = b"(K\x03X\x01\x00\x00\x00>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    content = b"\x80\x02}X\x04\x00\x00\x00datacnumpy\ndtype\nX\x02\x00\x00\x00f8\x85R" + state + b"s."
    (tmp_path / "a.npy").write_bytes(content)
    read_dict(tmp_path / "a.npy", ("data",), what="data", source=SOURCE)
    assert np.dtype("f8").isnative


def _write(path: Path, content: dict[str, Any], *, protocol: int, bare: bool) -> Path:
    with path.open("wb") as file:
        if not bare:
            np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(content if bare else np.array(content, dtype=object), file, protocol=protocol)
    return path

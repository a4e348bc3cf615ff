"""Named arrays and structs come back as they were; what is none of ours reads as nothing."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from chandlery.lake.store import Store
from chandlery.state.arrays import get_arrays, get_struct, name_arrays, pick_arrays, put_arrays, put_struct, view_arrays


class Note(msgspec.Struct):
    text: str
    number: int = 0


@pytest.mark.parametrize("writable", [True, False])
def test_arrays_come_back(tmp_path: Path, *, writable: bool) -> None:
    store = Store(str(tmp_path))
    arrays = {
        "floats": np.array([[1.5, np.nan]], np.float32),
        "none": np.empty((0, 2), np.int64),
        "one": np.array(7),
        "text": np.array("2019-05"),
        "turned": np.arange(6).reshape(2, 3).T,
    }
    put_arrays(store, "state/a.state", arrays)
    found = (get_arrays if writable else view_arrays)(store, "state/a.state")
    assert found is not None
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array, equal_nan=array.dtype.kind == "f")
        assert found[name].flags.writeable == writable


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"\x92\x63\x80", b"{}", b'{"text": "\xff"}'])
def test_what_is_not_ours_reads_as_nothing(tmp_path: Path, content: bytes) -> None:
    store = Store(str(tmp_path))
    store.put("a", content)
    assert get_arrays(store, "a") is None
    assert view_arrays(store, "a") is None
    assert view_arrays(store, "missing") is None
    assert get_struct(store, "a", Note) is None
    assert get_struct(store, "missing", Note) is None


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    put_arrays(store, "a.state", {"numbers": np.arange(1000)})
    content = bytearray(store.get("a.state") or b"")
    content[500] ^= 1
    store.put("a.state", bytes(content))
    assert get_arrays(store, "a.state") is None


def test_structs_come_back(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    put_struct(store, "a.json", Note("x", 3))
    assert get_struct(store, "a.json", Note) == Note("x", 3)


def test_groups_of_arrays_stand_beside_each_other() -> None:
    one, five = {"sums": np.zeros(1)}, {"sums": np.ones(5)}
    both = name_arrays("1", one) | name_arrays("15", five)
    assert list(pick_arrays("1", both)) == ["sums"]
    assert pick_arrays("1", both)["sums"].size == 1
    assert pick_arrays("5", both) == {}

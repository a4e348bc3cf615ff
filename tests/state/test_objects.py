"""Objects of state on a real store: what was put is read, and anything else counts as missing."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from chandlery.errors import StateLostError
from chandlery.grid import Traded
from chandlery.lake.handle import Lake
from chandlery.lake.lake_file import Series
from chandlery.lake.store import Store
from chandlery.state.arrays import get_arrays, put_arrays, view_arrays
from chandlery.state.artefacts import Fitted, read_fits, write_fits
from chandlery.state.fingerprints import describe_changes, fingerprint, name_code
from chandlery.state.paths import SUMMARY, Paths, is_known
from chandlery.state.records import (
    Archive,
    FileRecord,
    Ingested,
    Pair,
    SeriesSummary,
    Summary,
    SymbolSummary,
    Unassigned,
    candles_fingerprint,
    hash_candles,
    read_ingested,
    read_summary,
    write_ingested,
    write_summary,
)


def turn_bit(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "half": lambda content: content[: len(content) // 2],
    "last byte gone": lambda content: content[:-1],
    "one bit": lambda content: turn_bit(content, len(content) * 3 // 4),
    "something else": lambda _: b"<html>not this</html>",
    "JSON": lambda _: b'{"version": 4}',
    "bytes that are no text": lambda _: b"\xff\xfe" * 40,
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "lake"))


def damage(store: Store, path: str, how: str) -> None:
    file = Path(store.root) / path
    file.write_bytes(DAMAGE[how](file.read_bytes()))


@pytest.fixture
def lake(store: Store) -> Lake:
    return Lake(store, Series("bitfinex", "60m", [60], ["linear"], [], "60d", 0, [], 60))


def make_ingested() -> Ingested:
    return Ingested(
        [FileRecord("a.csv", 10, "etag", 5, 1, 2), FileRecord("b.csv", 0, "", 6, problem="no file of candles")],
        np.array([17_900, 17_903], np.int32),
        np.array([2**63, 7], np.uint64),
        Traded.of(np.array([429_600, 429_603])),
        {"row": np.array([3, 4]), "sources": np.array(["a.csv"]), "values": np.zeros((2, 5))},
    )


def assert_same(one: Ingested, other: Ingested | None) -> None:
    assert other is not None
    assert other.files == one.files
    assert (other.days.tolist(), other.digests.tolist()) == (one.days.tolist(), one.digests.tolist())
    assert other.traded.start == one.traded.start
    assert other.traded.flags.tolist() == one.traded.flags.tolist()
    assert set(other.lost) == set(one.lost)
    assert all(np.array_equal(other.lost[name], one.lost[name]) for name in one.lost)


def test_what_is_ingested_is_read_as_it_was_put(lake: Lake) -> None:
    held = make_ingested()
    write_ingested(lake, "BTCUSD", held)
    assert_same(held, read_ingested(lake, "BTCUSD"))
    assert read_ingested(lake, "ETHUSD") is None
    empty = Ingested([], held.days[:0], held.digests[:0], Traded.of(np.empty(0, np.int64)), {})
    write_ingested(lake, "BTCUSD", empty)
    assert_same(empty, read_ingested(lake, "BTCUSD"))
    assert (hash_candles(empty), len(hash_candles(held))) == ("", 32)


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_record_counts_as_missing(lake: Lake, how: str) -> None:
    write_ingested(lake, "BTCUSD", make_ingested())
    damage(lake.store, Paths.of(lake).ingest("BTCUSD"), how)
    assert read_ingested(lake, "BTCUSD") is None


def test_a_record_of_another_version_counts_as_missing(lake: Lake) -> None:
    write_ingested(lake, "BTCUSD", make_ingested())
    arrays = get_arrays(lake.store, Paths.of(lake).ingest("BTCUSD"))
    assert arrays is not None
    record = msgspec.json.decode(arrays["record"].tobytes())
    for version in (record["version"] - 1, record["version"] + 1):
        text = msgspec.json.encode({**record, "version": version})
        put_arrays(lake.store, Paths.of(lake).ingest("BTCUSD"), {**arrays, "record": np.frombuffer(text, np.uint8)})
        assert read_ingested(lake, "BTCUSD") is None
    del arrays["record"]
    put_arrays(lake.store, Paths.of(lake).ingest("BTCUSD"), arrays)
    assert read_ingested(lake, "BTCUSD") is None


def make_summary() -> Summary:
    problems = ["a problem"]
    held = SymbolSummary(True, "c", 17_900, 5, [2019], problems, gone=True, held_back=2)
    series = SeriesSummary({"BTCUSD": held}, "g", "f", "b", {"a": "1"}, {"2019-01-01": "m"}, 4)
    pairs = {"kraken/BTCUSD": Pair("p", 6, ["small.csv"])}
    return Summary(
        {"kraken/1m": series}, pairs, Unassigned(problems, gone=True), {"a.zip": Archive("e", ["x"])}, {"b": "2"}
    )


def test_a_summary_is_read_as_it_was_put(store: Store) -> None:
    write_summary(store, make_summary())
    assert read_summary(store) == make_summary()


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_summary_counts_as_missing(store: Store, how: str) -> None:
    write_summary(store, make_summary())
    damage(store, SUMMARY, how)
    found = read_summary(store)
    if how != "one bit":  # it is text, of which a letter may differ
        assert found == (Summary(version=4) if how == "JSON" else Summary(version=0))


@pytest.mark.parametrize("version", [0, 1, 2, 3, 5, None])
def test_a_summary_of_another_version_counts_as_missing(store: Store, version: int | None) -> None:
    write_summary(store, make_summary())
    held = msgspec.json.decode(store.get(SUMMARY) or b"")
    held = {**held, "version": version} if version is not None else {**held, "version": "older"}
    store.put(SUMMARY, msgspec.json.encode(held))
    assert read_summary(store) == Summary(version=0)


def test_the_hash_of_all_candles_leaves_out_symbols_without_any() -> None:
    one = SeriesSummary({"A": SymbolSummary(True, "1"), "B": SymbolSummary(True, "2")})
    more = SeriesSummary({"B": SymbolSummary(True, "2"), "C": SymbolSummary(True), "A": SymbolSummary(True, "1")})
    swapped = SeriesSummary({"A": SymbolSummary(True, "2"), "B": SymbolSummary(True, "1")})
    assert candles_fingerprint(one) == candles_fingerprint(more)
    assert candles_fingerprint(one) != candles_fingerprint(swapped)


# Arrays


def test_arrays_of_every_kind_are_read_as_they_were_put(store: Store) -> None:
    arrays = {
        "ints": np.arange(6, dtype=np.int64).reshape(2, 3).T,
        "flags": np.array([True, False]),
        "texts": np.array(["a", "ü€", ""]),
        "none": np.empty((0, 4), np.float32),
        "one": np.array(5),
        "odd": np.array([np.nan, -0.0, np.inf]),
    }
    put_arrays(store, "state/x.state", arrays)
    for found in (get_arrays(store, "state/x.state"), view_arrays(store, "state/x.state")):
        assert found is not None
        assert {name: (array.dtype, array.shape, array.tobytes()) for name, array in found.items()} == {
            name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()
        }
    writable = get_arrays(store, "state/x.state")
    assert writable is not None
    writable["ints"][0, 0] = 9


@pytest.mark.parametrize("place", range(0, 240, 7))
def test_any_changed_byte_of_arrays_is_noticed(store: Store, place: int) -> None:
    put_arrays(store, "state/x.state", {"a": np.arange(20.0), "b": np.array(["x", "y"])})
    content = bytearray(store.get("state/x.state") or b"")
    content[place % len(content)] ^= 1
    store.put("state/x.state", bytes(content))
    assert get_arrays(store, "state/x.state") is None


# Paths


def test_every_path_that_is_given_is_known_and_no_other() -> None:
    paths = Paths("exchange=kraken/interval=1m")
    given = [
        SUMMARY,
        paths.activity,
        paths.ingest("LTCUSD"),
        paths.bucket("2019-02", "LTCUSD"),
        paths.market(17),
        paths.scores("LTCUSD"),
        *(paths.checkpoint(18_262, stage, "LTCUSD") for stage in ("gather", "forecast")),
        paths.checkpoint(18_262, "market"),
    ]
    assert len(set(given)) == len(given)
    assert all(is_known(path) for path in given)
    assert not [path for path in given if is_known(f"{path}.old") or is_known(f"x{path}")]
    for other in ("state/ingest/A.state", f"{paths.state}traded/A.state", f"{paths.checkpoints}2019-01-01/A.state"):
        assert not is_known(other)


# Artefacts


def make_fit(refit_at: str = "2019-01-01") -> Fitted:
    return Fitted("linear", 60, refit_at, 10, ["A"], ["x"], 0, {"beta": [0.1, 1e-300]}, ["A"])


def test_fits_are_read_as_they_were_written(lake: Lake) -> None:
    fits = [make_fit(), make_fit("2019-02-01")]
    names = write_fits(lake, "sums-linear", "2019", [("all", fits), ("A", fits[:1]), ("B", [])])
    assert names == [Paths.of(lake).artefact("sums-linear", "2019", symbol) for symbol in ("all", "A", "B")]
    assert read_fits(lake, "sums-linear", "2019") == fits
    assert read_fits(lake, "sums-linear", "2019", "A") == fits[:1]
    assert read_fits(lake, "sums-linear", "2019", "B") == []


@pytest.mark.parametrize("how", [*sorted({*DAMAGE} - {"last byte gone"}), "a line gone", "missing"])
@pytest.mark.parametrize("near", [False, True])
def test_damaged_fits_are_noticed_and_their_copy_is_forgotten(
    lake: Lake,
    tmp_path: Path,
    how: str,
    near: bool,  # noqa: FBT001
) -> None:
    copies = Store(str(tmp_path / "copies")) if near else None
    (path,) = write_fits(lake, "sums-linear", "2019", [("all", [make_fit(), make_fit("2019-02-01")])])
    file = Path(lake.store.root) / path
    whole = file.read_bytes()
    if how == "missing":
        file.unlink()
    elif how == "a line gone":
        file.write_bytes(b"".join(whole.splitlines(keepends=True)[1:]))
    else:
        damage(lake.store, path, how)
    with pytest.raises(StateLostError) as caught:
        read_fits(lake, "sums-linear", "2019", copies=copies)
    assert (caught.value.path, caught.value.exit_code) == (path, 5)
    assert dt.date(1970, 1, 1) + dt.timedelta(caught.value.day) == dt.date(2018, 12, 31)
    file.write_bytes(whole)
    assert len(read_fits(lake, "sums-linear", "2019", copies=copies)) == 2


# Fingerprints


def test_a_fingerprint_depends_on_content_and_not_on_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    contents = (({"a": 1},), ({"a": "1"},), ({"a": 1}, 0), (["a", 1],), ())
    others = [fingerprint(*content) for content in contents]
    assert len(set(others)) == len(others)


def test_versions_of_a_stage_of_a_model_and_of_libraries_are_named() -> None:
    before = name_code(("gaps", "fit"), {"linear": 3})
    assert {"stage gaps", "stage fit", "model linear", "numpy", "polars"} <= set(before)
    assert "stage ingest" not in before
    now = name_code(("gaps", "fit"), {"linear": 4, "tree": 1}) | {"stage gaps": "99"}
    changes = describe_changes(before, now)
    assert f"stage gaps {before['stage gaps']} → 99" in changes
    assert "model linear 3 → 4" in changes
    assert "model tree none → 1" in changes
    assert "fit" not in changes

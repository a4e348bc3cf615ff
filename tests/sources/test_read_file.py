import datetime as dt
import gzip
import hashlib
import io
import json
import zipfile

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from raw_files import HEADER, START_MS, line, lines, raw_file, read, rows_of

from chandlery.errors import SourceError, StoreUnavailableError
from chandlery.grid import Grid
from chandlery.settings.model import SourceSettings
from chandlery.sources.files import list_members, read_file
from chandlery.sources.parse import PIECE_BYTES
from local_hours import write_local

GOOD = HEADER + lines(200)


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_csv", ".csv"), content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "squeeze",
    [
        gzip.compress,
        lambda text: gzip.compress(text[:999]) + gzip.compress(text[999:]),
        lambda text: pa.compress(text, codec="zstd", asbytes=True),
    ],
)
def test_compressed_files_are_told_by_their_first_bytes(squeeze):
    found = read(squeeze(GOOD), seconds=None)
    assert found.rows_read == 200
    assert rows_of(found).equals(rows_of(read(GOOD)))
    assert found.grid.seconds == 60


def test_hash_is_that_of_the_object():
    for content in (GOOD, gzip.compress(GOOD)):
        assert read(content).sha256 == hashlib.sha256(content).hexdigest()
    content = zipped(ltcusd_csv=GOOD)
    assert read(content, "a.zip!ltcusd.csv", member="ltcusd.csv").sha256 == hashlib.sha256(content).hexdigest()


def test_members_of_a_zip():
    content = zipped(ltcusd_csv=GOOD, ethusd_csv=HEADER + lines(3), **{"__MACOSX/._x": b"x", "folder/": b""})
    assert list_members(io.BytesIO(content)) == ["ethusd.csv", "ltcusd.csv"]
    found = read(content, "two.zip!ltcusd.csv", member="ltcusd.csv")
    assert found.rows_read == 200


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(GOOD)[:-20],
        pa.compress(GOOD, codec="zstd", asbytes=True)[:-20],
        gzip.compress(GOOD)[:900] + b"xx" + gzip.compress(GOOD)[902:],
    ],
)
def test_cut_off_or_damaged_compression_is_refused(content):
    with pytest.raises(SourceError, match="cannot be decompressed"):
        read(content)


def test_cut_off_zip_is_refused():
    content = zipped(ltcusd_csv=GOOD)[:-30]
    with pytest.raises(SourceError, match="zip"):
        list_members(io.BytesIO(content), "a.zip")
    with pytest.raises(SourceError, match="zip"):
        read(content, "a.zip!ltcusd.csv", member="ltcusd.csv")


def test_last_row_cut_off_is_unparseable():
    found = read(HEADER + lines(5) + b"1546301100000,10,10.1")
    assert found.rejects.select("row", "raw", "reasons").rows() == [(6, "1546301100000,10,10.1", ["unparseable"])]


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_a_last_row_that_ends_within_its_number_is_unparseable(cut):
    rows = b"".join(
        b"%d,10,10.1,10.2,9.8,12.%08d\n" % (START_MS + step * 60_000, 9_514_282 + step) for step in range(50)
    )
    found = read((HEADER + rows)[: -1 - cut])
    assert rows_of(found).height == 49
    assert found.rejects.select("row", "reasons").rows() == [(50, ["unparseable"])]
    assert rows_of(read((HEADER + rows)[:-1])).height == 50
    assert rows_of(read((HEADER + lines(50))[:-1])).height == 50  # its decimals vary: nothing shows a cut


@pytest.mark.parametrize("tail", [b"\n\n\n", b"  \n", b"\r\n"])
def test_blank_lines_at_the_end_are_no_rows(tail):
    assert rows_of(read(HEADER + lines(20) + tail)).height == 20
    with pytest.raises(SourceError, match="holds no row"):
        read(HEADER + tail)


def test_broken_json_names_the_row():
    rows = [
        json.dumps({"time": START_MS + step * 60_000, "open": 1, "close": 1, "high": 1, "low": 1, "volume": 1})
        for step in range(500)
    ]
    rows[321] = rows[321].replace(":", "", 1)
    with pytest.raises(SourceError, match="broken JSON at row 322") as caught:
        read(('{"results": [' + ", ".join(rows) + "]}").encode(), "ltcusd.json")
    assert caught.value.hint


@pytest.mark.parametrize("cut", [1, 2, 30, 2000])
def test_json_document_cut_off_is_refused(cut):
    rows = [
        [START_MS + step * 60_000, 100 + step % 3, 102.5, 99.5, 100 + (step + 1) % 3, 50.0 + step]
        for step in range(200)
    ]
    content = json.dumps(
        {"results": [dict(zip(("time", "open", "high", "low", "close", "volume"), row, strict=True)) for row in rows]}
    ).encode()
    with pytest.raises(SourceError, match="broken JSON"):
        read(content[:-cut], "ltcusd.json")
    with pytest.raises(SourceError, match="broken JSON"):
        read(json.dumps(rows).encode()[:-cut], "ltcusd.json")


def test_json_document_above_the_limit_is_refused_with_ndjson_as_hint():
    content = json.dumps([{"time": START_MS, "open": 1, "close": 1, "high": 1, "low": 1, "volume": 1}]).encode()
    with pytest.raises(SourceError) as caught:
        read(content, "ltcusd.json", settings={"max_json_bytes": 10})
    assert "NDJSON" in caught.value.hint


def test_broken_line_of_ndjson_costs_only_itself():
    rows = [
        json.dumps({"time": START_MS + step * 60_000, "open": 1, "close": 1, "high": 1, "low": 1, "volume": 1})
        for step in range(5)
    ]
    rows[2] = rows[2][:-7]
    found = read("\n".join(rows).encode(), "ltcusd.ndjson")
    assert rows_of(found)["row"].to_list() == [1, 2, 4, 5]
    assert found.rejects.select("row", "raw", "reasons").rows() == [(3, rows[2], ["unparseable"])]


def test_two_symbols_by_a_column():
    content = (
        b"symbol," + HEADER + b"".join((b"LTCUSD," if step % 2 else b"ETHUSD,") + line(step) for step in range(10))
    )
    with pytest.raises(SourceError, match="ETHUSD, LTCUSD"):
        read(content)


def test_two_symbols_by_prices():
    with pytest.raises(SourceError, match="two prices at one time in 300 of 600 rows, and 300 of them"):
        read(HEADER + b"".join(line(step, price=10) + line(step, price=2000) for step in range(300)))


def test_mixed_intervals():
    coarse = b"".join(line(20_000 - 20_000 % 30 + step * 30) for step in range(600))
    with pytest.raises(SourceError, match="mixes candles of 1m with candles of 30m"):
        read(HEADER + lines(3000) + coarse, seconds=None)
    with pytest.raises(SourceError, match="mixes candles of 1m with candles of 30m"):
        read(HEADER + coarse + lines(400, first=50_001))
    with pytest.raises(SourceError, match="1000 rows, 39% of them between candles of 30m"):
        read(HEADER + coarse + lines(400, first=50_001), seconds=None)
    by_hand = {"interval": "1m"}
    assert rows_of(read(HEADER + lines(3000) + coarse, layout=by_hand)).height == 3600
    with pytest.raises(SourceError, match="between them"):
        read(HEADER + coarse + lines(400, first=50_001), seconds=1800)


def test_interval_that_is_set_by_hand():
    content = HEADER + line(0) + line(30) + line(60)
    assert read(content, seconds=60, layout={"interval": "15m"}).grid.seconds == 900


@pytest.mark.parametrize("form", ["csv", "csv.gz", "json", "ndjson"])
def test_raw_text_is_fetched_in_a_second_pass(form):
    names = ("time", "open", "close", "high", "low", "volume")
    if form.startswith("csv"):
        texts = [line(step).decode().rstrip() for step in range(50)]
        content = HEADER + "\n\n".join(texts).encode()
        content = gzip.compress(content) if form == "csv.gz" else content
    else:
        texts = [
            json.dumps(dict(zip(names, (START_MS + step * 60_000, 1, 1, 1, 1, step), strict=True)))
            for step in range(50)
        ]
        content = ("[" + ",\n".join(texts) + "]").encode() if form == "json" else "\n".join(texts).encode()
    stream = io.BytesIO(content)
    found = read_file(stream, raw_file(content, f"ltcusd.{form}"), SourceSettings(), Grid(60))
    assert found.fetch_raw(pl.Series([1, 17, 50])) == [texts[0], texts[16], texts[49]]
    assert found.fetch_raw(pl.Series([], dtype=pl.Int64)) == []


@pytest.mark.parametrize("later", [GOOD.replace(b"7", b"8"), GOOD[:2000], b"<html>"])
def test_a_file_that_is_written_over_between_its_readings_is_told(later):
    stream = io.BytesIO(GOOD)
    found = read_file(stream, raw_file(GOOD), SourceSettings(), Grid(60))
    stream.seek(0)
    stream.truncate()
    stream.write(later)
    with pytest.raises(StoreUnavailableError, match="was written over while it was read"):
        found.fetch_raw(pl.Series([1, 17]))


@pytest.mark.parametrize("time", ["4000000000000", "946684800000"])  # pragma: allowlist secret
def test_file_of_future_or_ancient_times_is_read_and_every_row_refused(time):
    found = read(HEADER + f"{time},1,1,1,1,1\n".encode() * 3 + lines(4))
    assert "time_out_of_range" in found.rejects["reasons"].to_list()[0]
    assert found.rows_read == 7


def test_one_odd_line_is_found_in_a_file_of_many_pieces():
    half = 50_000  # lines: both halves together are more than PIECE_BYTES
    content = HEADER + lines(half) + b"oops\n\n" + lines(half, first=half)
    assert len(content) > PIECE_BYTES
    stream = io.BytesIO(content)
    found = read_file(stream, raw_file(content), SourceSettings(), Grid(60))
    assert found.rejects.select("row", "raw", "reasons").rows() == [(half + 1, "oops", ["unparseable"])]
    assert rows_of(found)["row"].to_list() == [*range(1, half + 1), *range(half + 2, 2 * half + 2)]
    assert found.fetch_raw(pl.Series([half, half + 1, half + 2])) == [
        line(half - 1, price=10 + (half - 1) % 7).decode().rstrip(),
        "oops",
        line(half, price=10).decode().rstrip(),
    ]


@pytest.mark.parametrize("seconds", [1, 5, 15])
def test_candles_of_seconds(seconds):
    def second(step):
        return f"{START_MS + step * seconds * 1000},{10 + step % 7},10.1,10.2,9.8,{step % 5}\n".replace(
            "10.2", str(10.5 + step % 7)
        ).encode()

    content = HEADER + b"".join(second(step) for step in range(3000) if step % 11)
    found = read(content, seconds=None)
    assert found.grid.seconds == seconds
    assert found.rejects.is_empty()
    off_grid = read(content + f"{START_MS + 500},10,10.1,10.5,9.8,1\n".encode(), seconds=None)
    assert off_grid.rejects["reasons"].to_list() == [["off_grid_time"]]


def test_a_pair_that_seldom_trades_has_the_commonest_spacing_or_none():
    steps = np.flatnonzero(np.random.default_rng(1).random(3_000) < 0.1).tolist()
    assert read(HEADER + b"".join(map(line, steps)), seconds=None).grid.seconds == 60
    steps = [step * 4 + (step % 3 == 0) for step in range(150)]  # never two minutes one after the other
    with pytest.raises(SourceError, match=r"(?s)150 rows, 33% .* shows no interval.*layout"):
        read(HEADER + b"".join(map(line, steps)), seconds=None)


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("odd", ["1577840400000,1,1,1,1,777", "1577840400000,1,1,1,1,5,6,7"])
def test_a_row_of_another_width_is_refused_whatever_its_neighbours_are(odd, quoted):
    header, rows = (
        "time,open,close,high,low,volume,trades\n",
        [f"{START_MS + k * 60_000},1,1,1,1,5,{k}" for k in range(200)],
    )
    rows[3] = rows[3].replace(",5,", ',"5",') if quoted else rows[3]
    found = read((header + "\n".join([*rows, odd]) + "\n").encode())
    assert found.rejects["raw"].to_list() == [odd]
    assert found.rejects["reasons"].to_list() == [["unparseable"]]
    assert rows_of(found).height == 200
    assert rows_of(found)["volume"].unique().to_list() == [5.0]


@pytest.mark.parametrize("cut", [0, 1, -1])
def test_the_first_row_alone_does_not_settle_the_width(cut):
    rows = [text.split(",") for text in lines(300).decode().splitlines()]
    rows[0] = [*rows[0], "9"] if cut > 0 else rows[0][:cut] if cut else rows[0]
    found = read("\n".join(",".join(row) for row in rows).encode())
    assert rows_of(found).height == 300 - bool(cut)
    assert found.rejects["row"].to_list() == ([1] if cut else [])


def test_a_zip_with_two_members_of_one_name_is_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ltcusd.csv", GOOD)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("ltcusd.csv", GOOD)
    with pytest.raises(SourceError, match=r"two files called ltcusd\.csv"):
        list_members(buffer, "a.zip")


AUTUMN = dt.datetime(2023, 10, 22, tzinfo=dt.UTC)


@pytest.mark.parametrize("newest_first", [False, True])
def test_local_times_are_told_and_converted_where_their_zone_is_set(newest_first):
    head, *rows = write_local(AUTUMN, 400).splitlines(keepends=True)
    content = head + b"".join(rows[::-1] if newest_first else rows)
    with pytest.raises(SourceError, match="local ones") as caught:
        read(content, seconds=3600)
    assert 'timezone = "Europe/Berlin"' in caught.value.hint
    found = read(content, seconds=3600, layout={"timezone": "Europe/Berlin"})
    times = rows_of(found).sort("open_time")
    first = int(AUTUMN.timestamp() * 1000)
    assert times["open_time"].dt.epoch("ms").to_list() == [first + 3_600_000 * step for step in range(400)]
    assert times["open"].to_list() == [1000.0 + step for step in range(400)]
    assert found.rejects.is_empty()


def test_a_local_time_that_could_be_two_is_refused():
    found = read(write_local(AUTUMN, 400, drop=frozenset({168})), seconds=3600, layout={"timezone": "Europe/Berlin"})
    assert found.rejects["reasons"].to_list() == [["unparseable"]]
    assert rows_of(found).height == 398

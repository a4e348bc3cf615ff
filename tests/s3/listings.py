"""Answers of a store that list keys which no client can ask for."""

from xml.sax.saxutils import escape

from proxy import Fault

from chandlery.lake.store import Store

GOOD = "kraken/BTC-USD_60.csv"
LETTERS = {chr(number): f"&#{number};" for number in (*range(1, 32), 127)}


def list_with(source: Store, keys: list[str]) -> Fault:
    """Return the fault of a proxy that lists some keys besides those that are there."""
    prefix = source.uri.removeprefix("s3://crypto-raw/")
    there = [(entry.path, entry.size_bytes, entry.etag) for entry in source.list() if entry.path == GOOD]
    contents = "".join(
        f"<Contents><Key>{prefix}/{escape(key, LETTERS)}</Key><LastModified>2024-06-01T00:00:00.000Z</LastModified>"
        f"<ETag>{escape(etag)}</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for key, size, etag in [*there, *((key, 3, "1") for key in keys)]
    )
    body = (
        f"<ListBucketResult><Name>crypto-raw</Name><Prefix>{prefix}/</Prefix><KeyCount>{len(keys) + 1}</KeyCount>"
        f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
    )
    return Fault(200, body.encode(), {"Content-Type": "application/xml"}, within="list-type=2")

"""The hash of a raw file, which the ledger names."""

import hashlib

from chandlery.lake.store import Store
from chandlery.sources.raw_files import RawFile

__all__ = ["hash_file"]

HASHED_BYTES = 1024 * 1024  # read at a time, so that a large file takes little memory


def hash_file(source: Store, file: RawFile) -> str | None:
    """Return the SHA-256 of an object; None if it no longer exists."""
    digest = hashlib.sha256()
    try:
        with source.open(file.path, file.size_bytes) as stream:
            while part := stream.read(HASHED_BYTES):
                digest.update(part)
    except FileNotFoundError:
        return None
    return digest.hexdigest()

"""Files that stand beside files of candles and are none: downloads that are not finished, checksums, documentation."""

import re

__all__ = ["find_foreign"]

PARTIAL = re.compile(r"\.(crdownload|part|partial|tmp|temp|download|filepart|aria2|!ut)$|~$|\.~\w+$", re.IGNORECASE)
COPIES = re.compile(r"\.(bak|backup|old|orig|swp|rej)$", re.IGNORECASE)
CHECKSUMS = re.compile(
    r"(\.|^)(checksum|checksums|sha\d*|sha\d+sums?|md5|md5sums?|crc|sfv|asc|sig|sha\d+sum)$", re.IGNORECASE
)
OTHERS = re.compile(
    r"(^|/)((readme|license|licence|changelog|notice)(\.\w{2,4})?(?<!csv)(?<!json)|thumbs\.db|desktop\.ini)$"
    r"|\.(md|rst|html?|pdf|png|jpe?g|svg|gif|py|ipynb|sh|toml|ya?ml|ini|cfg|lock|log|xml|url|lnk|css|js)$",
    re.IGNORECASE,
)
KINDS = {
    "a download or a copy that is not finished": PARTIAL,
    "a backup copy": COPIES,
    "a checksum or a signature": CHECKSUMS,
    "no data": OTHERS,
}


def find_foreign(source: str) -> str:
    """Return what a file is that holds no candles, by its name; empty if it may hold candles.

    Example:
        >>> [find_foreign(name) for name in ("btcusd.csv.crdownload", "a.zip.CHECKSUM", "README.md", "btcusd.csv")]
        ['a download or a copy that is not finished', 'a checksum or a signature', 'no data', '']
    """
    name = source.replace("!", "/").rpartition("/")[2]
    return next((kind for kind, pattern in KINDS.items() if pattern.search(name)), "")

"""Raw files: which symbol, which layout, which rows."""

from chandlery.sources.files import FileRows, RawFile, read_file
from chandlery.sources.layout import Layout, recognise
from chandlery.sources.symbols import find_symbol

__all__ = ["FileRows", "Layout", "RawFile", "find_symbol", "read_file", "recognise"]

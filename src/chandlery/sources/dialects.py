"""Delimited text: its separator, the lines before its first row, the names of its columns, its decimal mark."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat

from chandlery.errors import SourceError
from chandlery.settings.model import LayoutSettings
from chandlery.sources.clocks import is_clock
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.times import is_time

__all__ = ["Dialect", "take_apart"]

SEPARATORS = {",": "CSV", "\t": "TSV", ";": "CSV with ;", "|": "CSV with |"}
BLANKS = (b" ", b"\t", b"\r", b"\v", b"\f", b'"')  # or what may hold some
COMMENTS = ("#", "//", "%", '"#')
HEAD_ROWS = 2000  # enough to settle the order of columns by their numbers
LEAST_FIELDS = 6  # time, four prices and a volume
MOST_LINES_BEFORE = 60  # comments, a banner, names of columns: rows begin within so many lines
MOST_HEADERS = 3  # lines of names, as pandas writes names of several levels
NUMBER = re.compile(r"[-+]?(\d[\d.,' ]*|\.\d+)([eE][-+]?\d+)?")
ABSENT = re.compile(r"|-?nan|null|none|n/?a|-?inf(inity)?|\\N|<na>|nil|-", re.IGNORECASE)
COMMA = re.compile(r"[-+]?\d+,\d+")
THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?")
GERMAN = re.compile(r"[-+]?\d{1,3}(\.\d{3})+(,\d+)?")


@dataclass(frozen=True)
class Dialect:
    """How delimited text is written, and its first rows.

    Args:
        separator: Between fields.
        skip: Lines before the first row that are not blank.
        names: Of the columns, one for each; None without a header. A column with names in several lines has them
            joined by a line break.
        rows: The fields of the first rows, as text.
        decimal: The decimal mark.
        thousands: The mark between thousands; empty for none.
        words: What the ledger says of it.
    """

    separator: str
    skip: int
    names: list[str] | None
    rows: list[list[str]]
    decimal: str = "."
    thousands: str = ""
    words: str = ""


def take_apart(head: bytes, source: str, by_hand: LayoutSettings) -> Dialect:
    """Return how the first lines of delimited text are written.

    Args:
        head: The first bytes of the text, in UTF-8 with lines that end with a line feed.
        source: The file.
        by_hand: Its settings.

    Raises:
        SourceError: It has no table of six columns, or its decimal mark is open.
    """
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()]
    lines = lines[: HEAD_ROWS + MOST_LINES_BEFORE]
    comments = 0
    while comments < len(lines) - 1 and lines[comments].lstrip().startswith(COMMENTS):
        comments += 1
    separator = find_separator(lines[comments:], source)
    rows = list(csv.reader(lines, delimiter=separator))
    if may_have_spaces(head, separator):
        rows = [[field.strip() for field in row] for row in rows]
    width = Counter(map(len, rows[comments:])).most_common(1)[0][0]
    first = find_first_row(rows, comments, width) if by_hand.skip_rows is None else by_hand.skip_rows
    names = find_names(rows[:first], comments, width)
    body = rows[first : first + HEAD_ROWS]
    names = fit_names(names, body, source, by_hand)
    decimal, thousands = find_decimal(body, source, by_hand)
    before = f" after {comments} lines of comment" if comments else ""
    words = f"{SEPARATORS[separator]} {'with' if names else 'without'} header{before}"
    words += " with decimal commas" if decimal == "," else f" with {thousands!r} between thousands" if thousands else ""
    return Dialect(separator, first, names, body, decimal, thousands, words)


def may_have_spaces(head: bytes, separator: str) -> bool:
    """Return whether some text may have white space around its fields."""
    return not head.isascii() or any(mark in head for mark in BLANKS if mark != separator.encode())


def find_separator(lines: Sequence[str], source: str) -> str:
    """Return the separator that stands equally often in most lines; of several, in the most lines.

    Raises:
        SourceError: None makes six fields.
    """
    is_quoted = any('"' in line for line in lines[:50])
    counts = {mark: count_steadily(lines, mark, is_quoted=is_quoted) for mark in SEPARATORS}
    fitting = [mark for mark in SEPARATORS if counts[mark][0] >= LEAST_FIELDS - 1] or list(SEPARATORS)
    separator = fitting[0]
    if len(fitting) > 1:
        separator = max(fitting, key=lambda mark: (counts[mark][1], count_readable(lines, mark), counts[mark][0]))
    if counts[separator][0] < LEAST_FIELDS - 1:
        begins = lines[0][:80] if lines else ""
        expected = "at least six fields a row, separated by a comma, a tab, ; or |"
        hint = "convert it, or leave it out with [source] exclude"
        raise SourceError(f"{source} begins with {begins!r}", expected, hint)
    return separator


def count_readable(lines: Sequence[str], mark: str) -> int:
    """Return how many of the fields of some lines are times."""
    rows = csv.reader(lines[-MOST_LINES_BEFORE:], delimiter=mark)
    return sum(any(is_time(field.strip()) for field in row) for row in rows)


def count_steadily(lines: Sequence[str], mark: str, *, is_quoted: bool) -> tuple[int, float]:
    """Return how often a mark stands in most lines, and in what share of them; marks in quotes do not count.

    The number is 0 where it varies.
    """
    if is_quoted:
        counts = sorted(len(row) - 1 for row in csv.reader(lines, delimiter=mark))
    else:
        counts = sorted(map(str.count, lines, repeat(mark)))
    middle = counts[len(counts) // 2] if counts else 0
    same = counts.count(middle)
    return (middle, same / len(counts)) if same and same >= len(counts) // 2 else (0, 0.0)


def find_first_row(rows: list[list[str]], comments: int, width: int) -> int:
    """Return the place of the first row of data; that after the first line if there is none among the first lines."""
    limit = min(len(rows), comments + MOST_LINES_BEFORE)
    places = (place for place in range(comments, limit) if is_data(rows[place], width))
    return next(places, min(comments + 1, len(rows)))


def is_data(row: Sequence[str], width: int) -> bool:
    """Return whether a line is a row of data: it has a time or three numbers, and half of its fields are no words."""
    if abs(len(row) - width) > 1 and len(row) < LEAST_FIELDS:
        return False
    filled = [field for field in row if not ABSENT.fullmatch(field)]
    numbers = sum(bool(NUMBER.fullmatch(field)) for field in filled)
    has_time = any(is_time(field) for field in filled)
    absent = len(row) - len(filled)
    enough = 2 * (numbers + absent + has_time) >= len(row)
    known = sum(bool(NUMBER.fullmatch(field)) or is_time(field) for field in filled)
    return enough and (numbers >= 3 or (has_time and known == len(filled)))  # noqa: PLR2004 - prices


def find_names(rows: list[list[str]], comments: int, width: int) -> list[str] | None:
    """Return the names of the columns, from the lines before the first row; None if there are none.

    Args:
        rows: All lines before the first row of data, as fields.
        comments: How many of them are comments.
        width: Fields of most rows.
    """
    headers = [row for row in rows[comments:] if abs(len(row) - width) <= 1 and len(row) >= LEAST_FIELDS - 1]
    if not headers and comments:  # names in the last line of the comment, as NumPy writes them
        last = [rows[comments - 1][0].lstrip("#/% "), *rows[comments - 1][1:]]
        headers = [last] if abs(len(last) - width) <= 1 and len(last) >= LEAST_FIELDS - 1 else []
    if not headers:
        return None
    headers = headers[-MOST_HEADERS:]
    longest = max(map(len, headers))
    columns = ([row[place] for row in headers if place < len(row)] for place in range(longest))
    return ["\n".join(filter(None, of_column)) for of_column in columns]


def fit_names(names: list[str] | None, rows: list[list[str]], source: str, by_hand: LayoutSettings) -> list[str] | None:
    """Return one name for each column, where the rows have one field more than there are names.

    None is returned where settings say which column is which.

    Raises:
        UndecidedError: It is not clear which column has no name.
    """
    if names is None or not rows:
        return names
    width = Counter(map(len, rows)).most_common(1)[0][0]
    if width <= len(names):
        return names[: max(width, LEAST_FIELDS)] if not any(names[width:]) else names
    whole = [row for row in rows if len(row) == width]
    if width == len(names) + 1:
        if all(not row[-1] for row in whole):
            return [*names, ""]
        if is_numbering([row[0] for row in whole]):
            return ["", *names]
        divided = next((place for place in range(len(names)) if is_divided(whole, place)), None)
        if divided is not None:
            return [*names[: divided + 1], "", *names[divided + 1 :]]
    if by_hand.columns is not None:
        return None
    found = f"{source} has {len(names)} names ({', '.join(names)[:100]}) and {width} fields a row"
    columns = ["time", "open", "high", "low", "close", "volume", *["-"] * (width - LEAST_FIELDS)]
    hint = paste(source, {"columns": columns}, {"columns": 'in the order of the file; "-" leaves one out'})
    raise UndecidedError("columns", found, "a name for each field", hint)


def is_divided(rows: Sequence[Sequence[str]], place: int) -> bool:
    """Return whether two columns are one time that holds the separator, as in Jan 01, 2024 without quotes.

    The second one is the rest of the first, which is no time without it, or a time of day with marks.
    """
    halves = [(row[place], row[place + 1]) for row in rows[:MOST_LINES_BEFORE]]
    return all(is_time(f"{one} {two}") and (is_clock(two) or not is_time(one)) for one, two in halves)


def is_numbering(texts: Sequence[str]) -> bool:
    """Return whether texts are the numbers of rows: whole numbers, each one more than the one before."""
    if len(texts) < 2 or not all(text.strip('"').isdigit() for text in texts):  # noqa: PLR2004 - one shows no order
        return False
    numbers = [int(text.strip('"')) for text in texts]
    return all(after - before == 1 for before, after in pairwise(numbers))


def find_decimal(rows: list[list[str]], source: str, by_hand: LayoutSettings) -> tuple[str, str]:
    """Return the decimal mark and the mark between thousands.

    Raises:
        UndecidedError: Commas in numbers may be either.
    """
    fields = [field for row in rows for field in row if "," in field and NUMBER.fullmatch(field)]
    if len(fields) < len(rows) / 2:  # a few faulty rows
        return by_hand.decimal or ".", ""
    if by_hand.decimal is not None:
        return by_hand.decimal, "," if by_hand.decimal == "." and fields else ""
    if not fields:
        return ".", ""
    if all(map(GERMAN.fullmatch, fields)) and any(map(re.compile(r".*\..*,").match, fields)):
        return ",", "."
    is_comma = all(COMMA.fullmatch(field) or GERMAN.fullmatch(field) for field in fields)
    is_thousands = all(map(THOUSANDS.fullmatch, fields))
    if is_comma and is_thousands:
        has_point = any(re.fullmatch(r"[-+]?\d+\.\d+", field) for row in rows for field in row)
        is_comma = not has_point
        is_thousands = has_point
        if is_comma:
            raise_open_comma(fields[0], source)
    if is_comma:
        return ",", "." if any("." in field for field in fields) else ""
    if is_thousands:
        return ".", ","
    found = f"{source} has numbers such as {fields[0]} whose commas are neither decimal marks nor between thousands"
    raise UndecidedError("text", found, "one decimal mark", paste(source, {"decimal": ","}, {"decimal": 'or "."'}))


def raise_open_comma(example: str, source: str) -> None:
    """Refuse a file in which every comma could be a decimal mark or stand between thousands.

    Raises:
        UndecidedError: Always.
    """
    found = f"{source} has numbers such as {example}, whose comma may be a decimal mark or stand between thousands"
    hint = paste(source, {"decimal": ","}, {"decimal": 'or ".", if commas stand between thousands'})
    raise UndecidedError("text", found, "a decimal mark that the numbers show", hint)

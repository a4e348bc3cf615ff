"""Pages written by hand: no line is too wide, and every path and link leads to a file that exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WIDTH = 120
GENERATED = {"docs/cli.md", "docs/tables.md"}
FOLDERS = (".", "src/chandlery", "docs")  # that a path on a page may start from, beside the page's own
EXAMPLES = {"my_features.py", "my_model.py", "main.py"}  # files that a reader writes
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "deploy/**/*.md")
    for path in ROOT.glob(pattern)
)
GUIDES = [page for page in PAGES if page == "CONTRIBUTING.md" or page.startswith("docs/")]
PATH = re.compile(
    r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|sql|toml|json|txt|css|js)|(?:src|tests|docs|benchmarks)/[\w/.-]*)`"
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def read_prose(page: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page with their numbers, code blocks left out."""
    is_code = False
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, line


def can_be_wrapped(line: str) -> bool:
    """Return whether a line has a place to break it: no table row, and more than one word after a list's mark."""
    return not line.startswith("|") and len(re.sub(r"^\s*([-*+]|\d+\.) ", "", line).split()) > 1


def list_places() -> list[tuple[str, list[str], list[str]]]:
    """Return the rows of the table of CONTRIBUTING.md: what to change, the files to go to, and the names in them."""
    rows = [
        line.strip("|").split(" | ")
        for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    found = []
    for change, place, *_ in (row for row in rows if len(row) == 3 and row[1].strip()):
        marked = re.findall(r"`([^`]+)`", place)
        files = [text for text in marked if "/" in text or text.endswith((".py", ".toml"))]
        found.append((change, files, [text for text in marked if re.fullmatch(r"[A-Za-z_]+", text)]))
    return found


def name_anchor(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [page for page in PAGES if page not in GENERATED])
def test_no_line_is_too_wide(page: str) -> None:
    wide = [number for number, line in read_prose(page) if len(line) > WIDTH and can_be_wrapped(line)]
    assert not wide, f"wrap these lines of {page} at {WIDTH} columns"


@pytest.mark.parametrize("page", GUIDES)
def test_every_path_exists(page: str) -> None:
    text = "\n".join(line for _, line in read_prose(page))
    starts = [(ROOT / page).parent, *(ROOT / folder for folder in FOLDERS)]
    missing = [
        path
        for path in PATH.findall(text)
        if path not in EXAMPLES and not is_stored(path) and not any((start / path).exists() for start in starts)
    ]
    assert not missing


def is_stored(path: str) -> bool:
    """Return whether a path is that of an object in a lake and not of a file of the project."""
    return path in {"lake.json", "manifest.json", "lease.json", "chandlery.toml"} or path.startswith(
        (
            "state/summary",
            "runs/changed",
            "_staging/",
        )
    )


def test_where_to_change_what_is_true() -> None:
    places = [place for place in list_places() if place[1]]
    assert len(places) >= 20
    for change, files, names in places:
        paths = [
            next((ROOT / folder / name for folder in FOLDERS if (ROOT / folder / name).exists()), None)
            for name in files
        ]
        assert all(paths), (change, files)
        text = "".join(path.read_text(encoding="utf-8") for path in paths if path and path.is_file())
        assert all(re.search(rf"\b{name}\b", text) for name in names if name != "algorithm"), (change, names)


def test_every_test_that_is_named_exists() -> None:
    for path in re.findall(r"`(tests/[\w/.]+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    text = "\n".join(line for _, line in read_prose(page))
    for link in LINK.findall(text):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), link
        if anchor:
            headings = [
                line.lstrip("# ")
                for _, line in read_prose(str(path.resolve().relative_to(ROOT)))
                if line.startswith("#")
            ]
            assert anchor in map(name_anchor, headings), link


def test_the_index_of_decisions_has_every_page() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    for path in folder.glob("*.md"):
        title = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        assert path.name == "README.md" or f"[{title}]({path.name})" in index, path.name


def test_paths_of_state_are_those_of_the_code() -> None:
    from chandlery.state.paths import is_known  # noqa: PLC0415 - the other tests of this file need nothing installed

    text = (ROOT / "docs" / "how_it_works.md").read_text(encoding="utf-8")
    paths = re.findall(r"^\| `(state/[^`]+)` \|", text, re.MULTILINE)
    examples = {"<symbol>": "LTCUSD", "<month>": "2019-01", "<day>": "2019-01-01", "<step>": "1440"}
    for path in paths:
        for mark, example in examples.items():
            path = path.replace(mark, example)  # noqa: PLW2901
        series = "" if path == "state/summary.json" else "exchange=kraken/interval=1m/"
        assert is_known(path.replace("state/", f"state/{series}", 1)), path
    assert len(paths) == 9


def list_pairs(text: str) -> list[tuple[str, str]]:
    """Return the pairs of neighbouring words of a text that are both lower case: values and names are left out."""
    words = text.split()
    is_word = [re.fullmatch(r"[a-z']{2,}", word) is not None for word in words]
    return [(words[place], words[place + 1]) for place in range(len(words) - 1) if all(is_word[place : place + 2])]


def list_texts() -> list[str]:
    """Return the constant texts of the source, docstrings left out."""
    texts = []
    for path in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings]
        texts += [node.value for node in constants if isinstance(node.value, str)]
    return texts


def list_quotes() -> list[str]:
    """Return the messages that docs/operations.md quotes: in code blocks, and in the prose from five words on."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    fence = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
    lines = [line for block in fence.findall(text) for line in block.splitlines()]
    quotes = [line for line in lines if re.match(r"(chandlery|refused): ", line)]
    quotes += [
        " ".join(quote.split()) for quote in re.findall(r"`([^`]+)`", fence.sub("", text)) if len(quote.split()) >= 5
    ]
    return [quote for quote in quotes if not quote.startswith(("chandlery ", "SELECT ", "uv ", "pip "))]


def test_quoted_messages_are_those_of_the_code() -> None:
    known = {pair for text in list_texts() for pair in list_pairs(text)}
    quotes = list_quotes()
    assert len(quotes) > 20
    for quote in quotes:
        pairs = list_pairs(quote)
        # A value may be a word too, such as the name of a model: the pairs that it is part of are not in the code.
        other = [pair for pair in pairs if pair not in known]
        assert len(other) <= max(1, 0.3 * len(pairs)), (quote, other)

"""Pages in a real browser, without a network: no request, no error, and nothing wider than the window."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import figures_of, make_lake, settings_of
from playwright.sync_api import Browser, Error, Page, sync_playwright

from chandlery.report import write_plot, write_report
from chandlery.report.page import SECTIONS

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Chromium: the one on the path, as Debian installs it, else Playwright's own."""
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        except Error as error:
            pytest.skip(f"no Chromium: {error.message.splitlines()[0]}")
        yield opened
        opened.close()


def open_page(browser: Browser, path: Path, width: int, scheme: str) -> tuple[Page, list[str]]:
    """Return a page, and everything that went wrong on it: console messages, errors, requests to a network."""
    viewport = {"width": width, "height": 900}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)  # type: ignore[arg-type]
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else wrong.append(request.url),
    )
    page.goto(path.as_uri())
    return page, wrong


def draw_all(page: Page) -> int:
    """Scroll to every figure that is shown, wait until it is drawn, and return how many there are."""
    places = [place for place in page.query_selector_all(".plot") if place.is_visible()]
    for place in places:
        place.scroll_into_view_if_needed()
        page.wait_for_function(
            "place => place.querySelector('.main-svg')?.getBoundingClientRect().width > 200",
            arg=place,
        )
    return len(places)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_report_is_whole_at_any_width(browser: Browser, page: Path, width: int, scheme: str) -> None:
    opened, wrong = open_page(browser, page, width, scheme)
    for symbol in ("BTCUSD", "ETHUSD"):
        opened.select_option("#symbol", symbol)
        assert (
            draw_all(opened)
            == len([name for name in figures_of(page) if name in {"rows", "skill-all"} or symbol in name])
            >= 10
        )
        for name, *_ in SECTIONS:
            assert opened.locator(f"section#{name}").is_visible()
        assert opened.locator(f"#near-{symbol}").is_visible()
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert not opened.locator("#near-BTCUSD").is_visible()
    assert opened.get_by_text(
        "alert(3)"
    ).first.is_visible()  # the name of the hostile file is shown as text, and ran nothing
    assert wrong == []


def test_nothing_offers_to_send_the_data_away(browser: Browser, lake: Path, tmp_path: Path) -> None:
    write_plot(settings_of(lake), "BTCUSD", tmp_path / "plot.html")
    opened, wrong = open_page(browser, tmp_path / "plot.html", 1280, "light")
    assert draw_all(opened) == 1
    titles = [
        button.get_attribute("data-title") or button.get_attribute("aria-label") or ""
        for button in opened.query_selector_all(".modebar-btn")
    ]
    assert len(titles) >= 4
    assert not [title for title in titles if "hare" in title or "loud" in title]
    assert wrong == []


def test_a_lake_of_seconds_is_drawn(browser: Browser, tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 15, 3000, gap=401)
    write_report(settings_of(lake), tmp_path / "report.html")
    write_plot(settings_of(lake), "BTCUSD", tmp_path / "plot.html")
    for name, figures in (("report.html", 1), ("plot.html", 1)):
        opened, wrong = open_page(browser, tmp_path / name, 1280, "light")
        assert draw_all(opened) == figures
        assert wrong == []

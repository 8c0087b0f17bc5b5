"""The built report in a real browser: offline, quiet, every figure drawn and captioned."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from observatory.analysis.fit.settings import fit_nodes
from observatory.analysis.report.compare import build_comparison, fit_comparison
from tests.unit.analysis.report.fabricate import Plan, fitted_study, published
from tests.unit.analysis.report.laptop import mapped

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mapped(tmp_path_factory) / "report.html"


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("compared")
    plans = (Plan(study="one", probes=()), Plan(study="two", probes=(), model="lstm", slowness=2))
    folders = [fitted_study(results, plan) for plan in plans]
    settings = {**published(40), "paired": fit_nodes()["paired"]}
    fit_comparison(folders, results / "comparison.html", settings)
    return build_comparison(folders, results / "comparison.html")


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Any, report: Path) -> Iterator[Any]:
    """The report, with what it said on the console and what it asked for."""
    opened = _open(browser, report, request.param)
    yield opened
    opened.close()


def _open(browser: Any, file: Path, scheme: str) -> Any:
    opened = browser.new_page(
        color_scheme=scheme, viewport={"width": 1100, "height": 1400}, offline=True
    )
    opened.said, opened.asked = [], []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("request", lambda made: opened.asked.append(made.url))
    opened.goto(file.as_uri())
    return opened


def test_it_says_nothing_on_the_console_and_asks_for_nothing_but_itself(page: Any, report: Path):
    page.wait_for_load_state("networkidle")
    assert page.said == []
    assert [url for url in page.asked if url != report.as_uri() and url != "data:,"] == []


def test_every_figure_is_drawn_and_has_a_caption_with_n_and_units(page: Any):
    page.evaluate("document.querySelectorAll('details').forEach((folded) => folded.open = true)")
    figures = page.locator("figure")
    assert figures.count() == 19
    assert "n = 88 replicas" in page.locator("#figures-1 + .caption").inner_text()
    units = ("steps", "dimensionless", "nats")
    for index in range(figures.count()):
        figure = figures.nth(index)
        box = figure.locator("svg").bounding_box()
        assert box["width"] > 600
        assert box["height"] > 150
        caption = figure.locator("figcaption").inner_text()
        assert any(unit in caption.lower() for unit in units)
        assert figure.locator("svg").get_attribute("aria-label")


def test_the_page_is_not_wider_than_its_window(page: Any):
    for width in (1100, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_figures_stay_readable_in_a_narrow_window(page: Any):
    page.set_viewport_size({"width": 390, "height": 900})
    drawing = page.locator(".drawing").first
    assert drawing.bounding_box()["width"] < 390
    assert drawing.locator("svg").bounding_box()["width"] > 500  # the drawing scrolls
    assert drawing.evaluate("e => getComputedStyle(e).overflowX") == "auto"


def test_text_contrasts_with_its_ground(page: Any):
    luminances = page.evaluate(
        """() => {
          const luminance = (colour) => {
            const channels = colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
            const linear = channels.map((c) => c / 255)
              .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
            return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
          };
          const ground = (element) => {
            for (let at = element; at; at = at.parentElement) {
              const colour = getComputedStyle(at).backgroundColor;
              if (!colour.endsWith(", 0)")) return luminance(colour);
            }
            return 1;
          };
          return ["h1", ".meta", ".answer p", "figcaption", ".files a", "td", ".caption"]
            .map((rule) => document.querySelector(rule))
            .map((e) => [luminance(getComputedStyle(e).color), ground(e)]);
        }"""
    )
    for text, ground in luminances:
        high, low = max(text, ground), min(text, ground)
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_links_of_figures_lead_to_files(page: Any, report: Path):
    links = page.locator(".files a")
    assert links.count() == 19
    for index in range(links.count()):
        assert (report.parent / links.nth(index).get_attribute("href")).is_file()


def test_it_prints_without_cutting_tables(page: Any):
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.locator(".wide").first.evaluate("e => getComputedStyle(e).overflowX") == "visible"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_comparison_stands_alone_with_its_captions(browser: Any, comparison: Path, scheme: str):
    page = _open(browser, comparison, scheme)
    page.wait_for_load_state("networkidle")
    assert page.said == []
    assert [url for url in page.asked if url != comparison.as_uri() and url != "data:,"] == []
    figures = page.locator("figure")
    assert figures.count() == 5
    for index in range(figures.count()):
        caption = figures.nth(index).locator("figcaption").inner_text()
        assert "n = 176 replicas in 2 groups" in caption
        assert "dimensionless" in caption
    for width in (1100, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()

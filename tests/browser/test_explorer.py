"""The page that moves, in a real browser: what it shows is what fits.json holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from observatory.analysis.page.wording import number
from observatory.analysis.report.build import build_report
from observatory.store.files import read_json
from tests.composed import composed
from tests.unit.analysis.report.fabricate import Plan, fitted_study

SLIDER = "#explorer-controls input[type=range]"

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    every = composed("map", "fit.study.n_simulations=0", "fit.by_horizon.n_horizons=9")["fit"]
    asked = ("study", "boundary_mle", "boundary_firth", "by_horizon")
    folder = fitted_study(
        tmp_path_factory.mktemp("moving"), Plan(probes=()), {name: every[name] for name in asked}
    )
    build_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(browser: Any, study: Path) -> Iterator[Any]:
    opened = _opened(browser, study)
    yield opened
    opened.close()


def _opened(browser: Any, study: Path) -> Any:
    opened = browser.new_page(viewport={"width": 1100, "height": 1400}, offline=True)
    opened.set_default_timeout(120_000)
    opened.said, opened.asked = [], []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("request", lambda made: opened.asked.append(made.url))
    opened.goto((study / "report.html").as_uri())
    opened.wait_for_function("window.observatoryView")
    return opened


def by_horizon(study: Path, event: str) -> list[dict[str, Any]]:
    fits = read_json(study / "fits.json")["fits"]
    return [r for r in fits if r["fit"] == "by_horizon" and r["event"] == event]


def drawn_rates(page: Any) -> dict[float, tuple[float, float, float]]:
    """Weight decay, rate and its limits, as the view has drawn them."""
    rows = page.evaluate(
        """() => {
          const found = [];
          const walk = (item) => {
            if (item.marktype === "symbol" && item.items.length && "rate" in item.items[0].datum)
              found.push(...item.items.map((i) => [i.datum.wd, i.datum.rate, i.datum.lo, i.datum.hi]));
            for (const below of item.items || []) walk(below);
          };
          walk(window.observatoryView.scenegraph().root);
          return found;
        }"""  # noqa: E501
    )
    return {wd: (rate, low, high) for wd, rate, low, high in rows}


def test_the_page_is_small_and_asks_for_nothing(page: Any, study: Path):
    assert (study / "report.html").stat().st_size < 5e6
    assert page.said == []
    own = (study / "report.html").as_uri()
    assert [url for url in page.asked if url != own and not url.startswith("data:")] == []


@pytest.mark.parametrize("event", ["first99", "first95", "held99"])
def test_dragging_the_horizon_gives_the_values_of_the_fits(page: Any, study: Path, event: str):
    page.locator("select[name=preset]").select_option(event)
    slider = page.locator(SLIDER)
    slider.focus()
    page.keyboard.press("End")
    records = by_horizon(study, event)
    verdict = "none"
    for record in records:
        verdict = record["extras"].get("verdict", verdict)
    for place in range(len(records) - 1, -1, -1):
        record = records[place]
        page.wait_for_function(
            "(steps) => window.observatoryView.signal('until') === steps",
            arg=record["horizon_steps"],
        )
        page.wait_for_timeout(50)
        shown = drawn_rates(page)
        for row in record["table"].values():
            expected = [row["rate"], row["wilson_low"], row["wilson_high"]]
            assert list(shown[row["weight_decay"]]) == pytest.approx(expected, abs=1e-4)
        said = page.locator("#explorer-boundary").inner_text()
        assert f"{record['horizon_steps']} steps" in said
        if record["refused"] is None:
            critical = record["params"]["critical"]
            for name in ("value", "ci_low", "ci_high"):
                assert critical[name] is None or number(critical[name]) in said
        else:
            assert record["refused"] in said
        if record["extras"].get("verdict"):
            assert record["extras"]["verdict"] in page.locator("#explorer-verdict").inner_text()
        page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuetext") == f"{records[0]['horizon_steps']} steps"
    page.keyboard.press("End")


def test_clicking_a_weight_decay_shows_its_replicas_and_a_replica_its_command(page: Any):
    page.locator("select[name=preset]").select_option("first99")
    page.locator("#explorer-views g.mark-symbol").first.locator("path").nth(4).click()
    page.wait_for_function("window.observatoryView.signal('cell_wd') === 0.15")
    rows = page.locator("#explorer-rows tr")
    assert rows.count() == 9
    lines = page.locator("#explorer-views g.mark-line path")
    page.wait_for_function(
        "document.querySelectorAll('#explorer-views g.mark-line path').length === 8"
    )
    assert lines.count() == 8
    lines.nth(2).dispatch_event("click")
    page.wait_for_function("!document.getElementById('explorer-again').hidden")
    said = page.locator("#explorer-again").inner_text()
    assert "weight decay 0.15, seed" in said
    assert "observatory train" in said
    page.locator("#explorer-rows button").nth(5).press("Enter")
    page.wait_for_function(
        "document.getElementById('explorer-who').textContent === 'weight decay 0.15, seed 5'"
    )


LINES = "#explorer-views g.mark-line path"


@pytest.fixture
def fresh(browser: Any, study: Path) -> Iterator[Any]:
    """The page as it opens, nothing chosen in it."""
    opened = _opened(browser, study)
    yield opened
    opened.close()


def drag(page: Any, marks: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag a box across a view, between places that are shares of the extent of its marks."""
    marks.first.scroll_into_view_if_needed()
    every = marks.evaluate_all("paths => paths.map((p) => p.getBoundingClientRect().toJSON())")
    left, right = min(b["left"] for b in every), max(b["right"] for b in every)
    top, bottom = min(b["top"] for b in every), max(b["bottom"] for b in every)
    start, end = ((left + x * (right - left), top + y * (bottom - top)) for x, y in (start, end))
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=8)
    page.mouse.up()
    page.wait_for_function("(window.observatoryView.signal('marked') || []).length > 0")
    page.box_middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)


def opacities(marks: Any, key: str) -> dict[Any, float]:
    """Opacity of the marks of a view, by a field of theirs."""
    read = "(paths, key) => paths.map((p) => [p.__data__.datum[key], p.__data__.opacity])"
    return dict(marks.evaluate_all(read, key))


def test_every_weight_decay_has_a_colour_of_its_own(fresh: Any):
    read = "paths => paths.map((p) => [p.__data__.datum.wd, p.__data__.stroke])"
    colours = set(map(tuple, fresh.locator(LINES).evaluate_all(read)))
    assert len(colours) == len({wd for wd, _ in colours}) == len({one for _, one in colours}) == 11
    legend = fresh.locator("#explorer-views g.role-legend text").all_text_contents()
    assert {"0", "0.03", "10"} < set(legend)


def test_a_box_across_the_curves_marks_replicas_in_all_views(fresh: Any):
    # late looks between 0.3 and 0.7
    drag(fresh, fresh.locator(LINES), (0.995, 0.3), (0.5, 0.7))
    marked = fresh.evaluate("window.observatoryView.signal('marked')")
    reached = fresh.evaluate(
        """() => JSON.parse(document.getElementById('explorer-data').textContent).replicas
          .filter((r) => r.val_acc.some((v) => v > 0.25 && v < 0.75)).map((r) => r.id)"""
    )
    assert set(marked) <= set(reached)
    assert fresh.locator("#explorer-rows tr").count() == len(marked) + 1
    fresh.mouse.dblclick(*fresh.box_middle)
    fresh.wait_for_function("window.observatoryView.signal('marked') === null")


def test_a_box_across_the_times_marks_cells_in_the_rates_and_curves(fresh: Any):
    rates, times = (fresh.locator("#explorer-views g.mark-symbol").nth(i) for i in (0, 1))
    points, lines = times.locator("path"), fresh.locator(LINES)
    drag(fresh, points, (0.55, 0.1), (0.8, 0.75))
    box = fresh.evaluate("window.observatoryView.signal('times_box')")
    rows = fresh.evaluate("JSON.parse(document.getElementById('explorer-data').textContent)")
    inside = {
        row["id"]: row["wd"]
        for row in rows["replicas"]
        if min(box["x"]) <= row["x"] <= max(box["x"])
        and min(box["y"]) <= (row["t_first99"] or row["end"]) <= max(box["y"])
    }
    assert 3 < len(inside) < 60  # of 88
    assert set(fresh.evaluate("window.observatoryView.signal('marked')")) == set(inside)
    for marks in (points, lines):
        shown = opacities(marks, "id")
        assert len(shown) == 88
        assert {one for one, opacity in shown.items() if opacity > 0.5} == set(inside)
    cells = opacities(rates.locator("path"), "wd")
    assert {wd for wd, opacity in cells.items() if opacity == 1} == set(inside.values())
    assert fresh.locator("#explorer-rows tr").count() == len(inside) + 1

    # a second box, across the curves, leaves what lies in both
    drag(fresh, lines, (0.1, 0.0), (0.16, 0.08))
    box = fresh.evaluate("window.observatoryView.signal('curves_box')")
    both = {
        row["id"]
        for row in rows["replicas"]
        if row["id"] in inside
        and any(
            min(box["at"]) <= step <= max(box["at"]) and min(box["v"]) <= value <= max(box["v"])
            for step, value in zip(row["s"], row["val_acc"], strict=True)
        )
    }
    assert 0 < len(both) < len(inside)
    assert set(fresh.evaluate("window.observatoryView.signal('marked')")) == both
    fresh.mouse.click(*fresh.box_middle)  # a box is no choice: every curve stays
    assert lines.count() == 88
    fresh.mouse.dblclick(*fresh.box_middle)
    fresh.wait_for_function("window.observatoryView.signal('marked') === null")
    assert fresh.said == []


@pytest.mark.parametrize("align", ["memorisation", "event", "decay time", "steps"])
def test_curves_are_laid_over_each_other(page: Any, align: str):
    page.locator("select[name=align]").select_option(align)
    page.wait_for_function("(name) => window.observatoryView.signal('align') === name", arg=align)
    page.wait_for_timeout(100)
    assert page.locator("#explorer-views g.mark-line path").count() == 8
    assert page.said == []


def test_every_control_has_a_label(page: Any):
    labels = (
        page.locator("#explorer-controls")
        .locator("select, input")
        .evaluate_all("controls => controls.map((c) => c.labels[0].textContent.trim().length)")
    )
    assert len(labels) == 6
    assert min(labels) > 3
    assert page.locator("[role=status]").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize("width", [1100, 390])
def test_it_fits_its_window(page: Any, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(1500)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    room = page.locator("#explorer-views").bounding_box()
    assert page.locator("#explorer-views svg").bounding_box()["width"] <= room["width"] + 1
    assert page.said == []


def test_without_script_every_figure_is_there(browser: Any, study: Path):
    context = browser.new_context(java_script_enabled=False, offline=True)
    opened = context.new_page()
    opened.goto((study / "report.html").as_uri())
    assert opened.locator("#explorer").is_hidden()
    figures = opened.locator("figure svg")
    assert figures.count() >= 3
    for folded in opened.locator("details:not([open]) > summary").element_handles():
        folded.click()
    for index in range(figures.count()):
        assert figures.nth(index).bounding_box()["width"] > 300
    context.close()

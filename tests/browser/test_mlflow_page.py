"""MLflow's page on a study, as a user sees it; and that `browse` starts and ends cleanly."""

import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.unit.analysis.report.fabricate import Plan, fabricate_study

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PLAN = Plan(study="small", weight_decays=(0.0, 0.03, 1.0, 10.0), n_seeds=3)
START = (
    "import sys; from pathlib import Path; from observatory.mirror.browse import browse;"
    "sys.exit(browse(Path(sys.argv[1]), '127.0.0.1', 0))"
)
SETTLED = """
    localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
    localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
"""


@dataclass(frozen=True)
class Browsing:
    """A running `browse`, and the link that it printed for the study."""

    process: "subprocess.Popen[str]"
    link: str

    @property
    def server(self) -> str:
        return self.link.partition("/#/")[0]


@pytest.fixture(scope="module")
def browsing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsing]:
    results = tmp_path_factory.mktemp("results")
    study = fabricate_study(results, PLAN)
    (study / "report.html").write_text("<h1>The report of small</h1>")
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(results)], stdout=subprocess.PIPE, text=True, cwd=root
    )
    timer = threading.Timer(120, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        links = (line.split()[1] for line in process.stdout if line.startswith("small  "))
        yield Browsing(process, next(links))
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def page(browser: Any, browsing: Browsing) -> Iterator[Page]:
    """A page in whose life no request may leave the server."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    context.add_init_script(SETTLED)
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    yield opened
    context.close()
    assert asked
    outside = [url for url in asked if not url.startswith((browsing.server, "data:", "blob:"))]
    assert not outside


def test_the_table_shows_cells_in_order_with_their_outcomes(browsing: Browsing, page: Page) -> None:
    page.goto(browsing.link)
    names = page.locator("a[href*='/runs/']").filter(has_text="wd=")
    expect(names).to_have_text(["wd=0", "wd=0.03", "wd=1", "wd=10"], timeout=30_000)
    for column in ("outcomes", "rate/first99", "t_grok/first99", "val/acc"):
        expect(page.locator(f".ag-header-cell:has-text('{column}')").first).to_be_visible()
    expect(page.locator(".ag-cell").get_by_text("3 collapsed", exact=True)).to_be_visible()
    expect(page.get_by_text("12 of 12 replicas finished, 3 grokked")).to_be_visible()


def test_the_charts_are_ours_and_only_ours(browsing: Browsing, page: Page) -> None:
    page.set_viewport_size({"width": 1600, "height": 2600})
    page.goto(f"{browsing.link}&compareRunsMode=CHART")
    for section in ("phase map", "accuracy: median", "loss: median", "attention heads"):
        expect(page.get_by_text(section).first).to_be_visible(timeout=30_000)
    expect(page.get_by_text("val/acc vs val/acc_q25 vs val/acc_q75").first).to_be_visible()
    expect(page.get_by_text("val/acc_q25", exact=True)).to_have_count(0)


def test_the_headline_leads_to_the_report(browsing: Browsing, page: Page) -> None:
    page.goto(browsing.link)
    with page.context.expect_page() as opening:  # MLflow opens links of a description in a new tab
        page.get_by_role("link", name="Report, fits and figures").first.click()
    frame = opening.value.frame_locator("iframe").first
    expect(frame.get_by_role("heading", name="The report of small")).to_be_visible(timeout=30_000)


def test_it_is_light_and_ends_cleanly_when_told(browsing: Browsing) -> None:
    deadline = time.monotonic() + 10  # a process that has just begun may not be listed yet
    while not (started := psutil.Process(browsing.process.pid).children(recursive=True)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(started) <= 2
    with urllib.request.urlopen(f"{browsing.server}/health") as reply:
        assert reply.status == 200
    browsing.process.send_signal(signal.SIGTERM)
    assert browsing.process.wait(20) == 0
    gone, alive = psutil.wait_procs(started, timeout=5)
    assert gone
    assert not alive

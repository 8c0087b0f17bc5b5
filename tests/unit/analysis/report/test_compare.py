"""The page that sets studies beside each other."""

import re
from collections import Counter
from pathlib import Path

import pytest

from observatory.analysis.fit.study import write_records
from observatory.analysis.page.groups import differences
from observatory.analysis.report.compare import build_comparison, fit_comparison, fits_beside
from observatory.core.errors import ConfigError, StoreError
from observatory.store.files import read_json
from tests.unit.analysis.report.fabricate import Plan, fitted_study, published
from tests.unit.analysis.report.pages import Page, read_page

pytestmark = pytest.mark.slow  # every page draws its figures

DECAYS = (0.0, 0.06, 0.1, 0.2, 0.5, 1.0)
FAST = Plan(study="fast", weight_decays=DECAYS, n_seeds=4, probes=())
SLOW = Plan(study="slow", weight_decays=DECAYS, n_seeds=4, probes=(), model="lstm", slowness=1.8)


def compare(folders: list[Path], out: Path) -> Page:
    """The page of a comparison that was fitted with few resamples."""
    fit_comparison(folders, out, published(40))
    return read_page(build_comparison(folders, out))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    results = tmp_path_factory.mktemp("results")
    return [fitted_study(results, FAST), fitted_study(results, SLOW)]


@pytest.fixture(scope="module")
def compared(folders: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Page:
    out = tmp_path_factory.mktemp("pages") / "comparison.html"
    return compare(folders, out)


def test_each_study_is_named_by_what_sets_it_apart(compared: Page):
    assert "fast: Transformer: λc = " in compared.text
    assert "slow: LSTM: λc = " in compared.text
    assert "Critical weight decay by least squares, 95% intervals" in compared.text


def test_figures_have_captions_with_n_event_and_the_shared_horizon(compared: Page):
    assert compared.tags["figure"] == 4
    for caption in compared.captions:
        assert "n = 48 replicas in 2 groups. Event first99: val accuracy ≥ 0.99." in caption
        assert "Horizon 2500 steps, of every group" in caption
    assert all(link.startswith(("#", "data:,", "comparison_figures/")) for link in compared.links)
    assert [name for name, count in Counter(compared.ids).items() if count > 1] == []
    assert compared.tags["script"] == compared.tags["img"] == 0


def test_every_study_is_tested_against_the_first_with_holm_over_the_family(compared: Page):
    pair = "slow: LSTM / fast: Transformer"
    found = re.search(
        rf"Ratio of λc, {pair}: ([\d.]+) \[.*?after Holm over a family of 1", compared.text
    )
    assert 1.3 < float(found[1]) < 2.5  # planted: 1.8
    assert "Event rates of the groups" in compared.text
    assert "mcnemar" in compared.text


def test_times_are_compared_beside_boundaries_and_pace_is_told(compared: Page):
    pair = "slow: LSTM / fast: Transformer"
    found = re.search(
        rf"Ratio of times, {pair}: ([\d.]+) \[.*?lognormal at 2500 steps; p of equal times.*?"
        "after Holm over a family of 1",
        compared.text,
    )
    assert float(found[1]) > 1.0  # planted: of larger boundaries the times are longer
    assert "How many times longer a group takes to the event" in " ".join(compared.captions)
    pace = compared.text.split("Pace and cost")[1]
    assert "24 of 24" in pace  # all memorise


def test_a_comparison_that_was_not_fitted_is_not_drawn(folders: list[Path], tmp_path: Path):
    with pytest.raises(StoreError, match="nothing was fitted"):
        build_comparison(folders, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_without_tests_the_page_says_that_nothing_was_tested(folders: list[Path], tmp_path: Path):
    write_records(fits_beside(tmp_path / "page.html"), [])
    page = read_page(build_comparison(folders, tmp_path / "page.html"))
    assert "No ratio of two boundaries was tested" in page.text
    assert "Ratios of boundaries" not in page.text


def test_every_boundary_of_every_study_is_in_the_table(compared: Page, folders: list[Path]):
    records = [r for folder in folders for r in read_json(folder / "fits.json")["fits"]]
    shown = compared.text.split("Boundaries by estimator and horizon")[1]
    rows = sum(r["fit"] == "boundary" and r["event"] == "first99" for r in records)
    assert shown.count("slow: LSTM") + shown.count("fast: Transformer") >= rows


def test_studies_of_different_horizons_are_matched_at_one_they_share(
    folders: list[Path], tmp_path: Path
):
    longer = Plan(study="longer", weight_decays=DECAYS, n_seeds=4, probes=(), horizon=4000)
    folder = fitted_study(tmp_path, longer)
    page = compare([folders[0], folder], tmp_path / "page.html")
    assert "(Firth at 2500 steps; p of equal boundaries" in page.text
    assert "The groups share no horizon at which all were fitted" in page.text
    assert "Horizon: each group’s own (2500 steps (2500 epochs), 4000 steps" in page.captions[0]
    settings = published(40)
    settings["study"] = {**settings["study"], "horizon_steps": [2500, 4000]}
    folder = fitted_study(tmp_path / "again", longer, settings=settings)
    page = compare([folders[0], folder], tmp_path / "page.html")
    assert "Horizon 2500 steps, of every group" in page.captions[0]


def test_a_study_of_several_groups_brings_each(folders: list[Path], tmp_path: Path):
    rates = Plan(study="rates", weight_decays=(0.1, 1.0), n_seeds=2, lrs=(0.003, 0.01), probes=())
    folder = fitted_study(tmp_path, rates, published(40))
    page = compare([folders[0], folder], tmp_path / "page.html")
    assert "rates: lr = 0.003" in page.text
    assert "n = 32 replicas in 3 groups" in page.captions[0]


@pytest.mark.parametrize("twice", [True, False])
def test_one_study_is_no_comparison(folders: list[Path], tmp_path: Path, twice: bool):
    with pytest.raises(ConfigError, match="at least two different studies"):
        fit_comparison(folders[:1] * (1 + twice), tmp_path / "page.html", published(40))


def test_classes_of_one_name_are_told_by_their_module():
    configs = [{"model": {"_target_": f"{module}.Mlp"}} for module in ("a", "b")]
    assert differences(configs) == [["model = a.Mlp"], ["model = b.Mlp"]]


def test_a_group_that_differs_in_much_keeps_its_studys_name_and_the_table_has_the_rest(
    folders: list[Path], tmp_path: Path
):
    config = {f"setting_{i}": i for i in range(12)}
    other = Plan(study="other", weight_decays=(0.1, 1.0), n_seeds=2, probes=(), config=config)
    page = compare([folders[0], fitted_study(tmp_path, other)], tmp_path / "p.html")
    assert "other: λc" in page.text or "No estimate" in page.text
    assert "setting_0 = 0, setting_1 = 1, setting_10 = 10" in page.text

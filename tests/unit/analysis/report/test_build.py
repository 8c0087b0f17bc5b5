"""The page: what it says of a laptop map, and that it is built from whatever is there."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from observatory.analysis.fit.study import fit_study, write_fits
from observatory.analysis.report.build import build_report
from observatory.core.errors import StoreError
from observatory.pipeline import rebuild_report
from observatory.store.reader import Study
from observatory.store.writer import update_manifest
from tests.typechecking import unchecked
from tests.unit.analysis.report.fabricate import (
    Plan,
    fabricate_study,
    fitted_study,
    published,
)
from tests.unit.analysis.report.pages import Page, read_page

pytestmark = pytest.mark.slow  # a page draws up to 22 figures

SMALL = Plan(
    study="small",
    weight_decays=(0.0, 0.1, 1.0),
    n_seeds=2,
    horizon=600,
    probes=("representation",),
)


@pytest.fixture(scope="module")
def laptop_page(laptop_map: Path) -> Page:
    return read_page(laptop_map / "report.html")


def test_every_figure_has_a_caption_with_n_event_horizon_and_its_files(
    laptop_page: Page, laptop_map: Path
):
    assert laptop_page.tags["figure"] == laptop_page.tags["figcaption"] == 19
    assert (
        "All of them: n = 88 replicas (11 weight decays, 8 seeds each). Event first99: val accuracy"
        " ≥ 0.99. Horizon 2500 steps (2500 epochs)."
    ) in laptop_page.text
    for caption in laptop_page.captions:
        assert len(caption) > 80
        assert "n = 88 replicas" not in caption  # said once for all
        assert "grokked" not in caption  # an outcome; rates are of the event
    files = [link for link in laptop_page.links if link.startswith("report/figures/")]
    assert len(files) == 19
    assert all((laptop_map / file).is_file() for file in files)
    assert "PDF and PNG files of these figures: add --formats pdf,png" in laptop_page.text


def test_the_page_asks_for_nothing_outside_and_holds_no_script(laptop_page: Page):
    allowed = ("#", "data:,", "report/figures/")
    assert [link for link in laptop_page.links if not link.startswith(allowed)] == []
    assert laptop_page.tags["script"] == 0
    assert laptop_page.tags["img"] == 0


def test_drawings_on_one_page_share_no_identifier(laptop_page: Page):
    assert [name for name, count in Counter(laptop_page.ids).items() if count > 1] == []


def test_the_answer_has_the_boundary_with_estimator_event_and_horizon(
    laptop_page: Page, laptop_map: Path
):
    records = json.loads((laptop_map / "fits.json").read_text())["fits"]
    critical = next(r for r in records if "lead" in r["extras"])["params"]["critical"]
    stated = f"λc = {critical['value']:.3g} [{critical['ci_low']:.3g}, {critical['ci_high']:.3g}]"
    first, answer = laptop_page.text.split("All estimators, laws and reasons")[:2]
    for said in (first, answer):
        assert f"{stated} (maximum likelihood lapse, 95% interval, n = 64 " in said
        assert "Verdict: cannot tell." in said
    assert "Within 2500 steps (2500 epochs), weight decay switches the network" in first
    assert "A horizon of 12000 steps would decide." in first
    assert "n = 64 of 88 replicas, those at 0 < weight decay ≤ 1" in first
    assert re.search(r"In all, \d+ of 88 replicas had it; \d+ ended without it", first)
    assert "boundary_mle leads at every horizon, as declared." in laptop_page.text
    assert "event first99: val accuracy ≥ 0.99, within a horizon of 2500 steps" in answer
    assert "0 of 8 at weight decay 0; 0 of 8 at weight decay 10 (8 collapsed)" in answer
    assert "A horizon of about 12000 steps would decide." in answer
    assert answer.index("Verdict") < answer.index(
        "With the event at the smallest and the largest weight decay"
    )
    assert "is Weibull, censored, λc = 0, with ν = 0.97 [0.9, 1.04]" in answer
    assert "likelihood ratio against 0: p = 0.15" in answer
    assert re.search(r"with λc estimated, λc = .* λc = 0 is ", answer)


def test_provenance_dictionary_and_cost_are_told(laptop_page: Page):
    for words in (
        "d34db33f",
        "with uncommitted changes",
        "torch 2.13.0+cpu",
        "0, 1, 2, 3, 4, 5, 6, 7",
        "observatory map experiment=laptop_map",
        "261.0",
        "131,250",
        "all probes",
        "1.80%",
        "population standard deviation over heads",  # the meaning of a column
        "Resolved config",
    ):
        assert words in laptop_page.text, words


@pytest.fixture(scope="module")
def fitted_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted_study(tmp_path_factory.mktemp("fitted"), SMALL)


@pytest.fixture
def small(fitted_small: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(fitted_small, tmp_path / SMALL.study)


def test_refused_fits_are_named_with_their_reason(small: Path):
    page = read_page(build_report(small))
    assert re.search(r"No estimate: [a-zA-Z ,]+ \(first99, \d+ steps\).*[.]", page.text)
    assert "Every estimator refused:" in page.text or "λc = " in page.text


def test_the_same_study_gives_the_same_page(laptop_map: Path, tmp_path: Path):
    """Its page is that of every kind of figure, which another process may have built."""
    folder = shutil.copytree(laptop_map, tmp_path / laptop_map.name)
    (folder / "report.html").unlink()
    assert build_report(folder).read_bytes() == (laptop_map / "report.html").read_bytes()


@pytest.mark.parametrize(
    "plan",
    [
        Plan(study="one-decay", weight_decays=(0.3,), n_seeds=3),
        Plan(study="zero-alone", weight_decays=(0.0,), n_seeds=1, horizon=300),
        Plan(study="one-seed", n_seeds=1),
        Plan(study="diverged", weight_decays=(0.1, 1.0), n_seeds=4, diverged=2),
        Plan(
            study="many-decays",
            weight_decays=tuple(0.01 * i for i in range(30)),
            n_seeds=1,
            probes=("attention",),
        ),
    ],
    ids=lambda plan: plan.study,
)
def test_odd_studies_still_get_a_page(tmp_path: Path, plan: Plan):
    page = read_page(build_report(fitted_study(tmp_path, plan)))
    assert page.tags["figure"] >= 8
    if "Every estimator refused:" in page.text:
        assert not [c for c in page.captions if "The boundary moves with the horizon" in c]
        assert "no estimator gave a boundary at the longest horizon" in page.text


def test_unfinished_replicas_are_counted_apart_and_said(tmp_path: Path):
    plan = Plan(study="going", weight_decays=(0.1, 1.0), n_seeds=4, unfinished=3)
    page = read_page(build_report(fitted_study(tmp_path, plan)))
    assert "3 of 8 replicas have not finished" in page.text
    assert "5 finished" in page.text
    assert "Run 0123456789ab is interrupted" in page.text
    until = re.search(r"rates, times and fits cut all at (\d+) steps", page.text)[1]
    assert f"Horizon {until} steps" in page.text


def test_nothing_finished_yet(tmp_path: Path):
    plan = Plan(study="young", weight_decays=(0.1, 1.0), n_seeds=1, unfinished=2)
    page = read_page(build_report(fitted_study(tmp_path, plan)))
    assert "2 of 2 replicas have not finished" in page.text


def test_what_was_not_measured_is_said(tmp_path: Path):
    plan = Plan(study="bare", weight_decays=(0.1, 1.0), n_seeds=2, probes=())
    page = read_page(build_report(fitted_study(tmp_path, plan)))
    for figure in ("Attention diagnostics", "Massive activations", "Baselines"):
        assert f"{figure}: the probe" in page.text
    assert (
        "Heads and accuracy, aligned at memorising and grokking: the probe attention was off"
        in page.text
    )
    assert "Critical weight decay and exponent, together: fits.json has no such fit" in page.text
    assert page.tags["figure"] == 7


def test_without_fits_it_says_what_to_do_and_draws_nothing(tmp_path: Path):
    folder = fabricate_study(tmp_path, SMALL)
    with pytest.raises(StoreError, match=r"nothing was fitted\. Run `observatory fit STUDY`"):
        build_report(folder)
    assert not (folder / "report.html").exists()


def test_deleted_fits_are_made_again_before_a_page_is(small: Path):
    folder = small
    before = json.loads((folder / "fits.json").read_text())
    (folder / "fits.json").unlink()
    manifest = folder / "runs" / SMALL.run_id / "manifest.json"
    content = json.loads(manifest.read_text())
    content["config"]["fit"] = published(60)
    manifest.write_text(json.dumps(content))
    rebuild_report(folder)
    assert json.loads((folder / "fits.json").read_text()) == before


def test_replicas_of_two_learning_rates_are_not_pooled(tmp_path: Path, fit_settings: Any):
    plan = Plan(
        study="rates",
        weight_decays=(0.0, 0.1, 1.0),
        n_seeds=2,
        lrs=(0.003, 0.01),
        probes=("attention",),
    )
    page = read_page(build_report(fitted_study(tmp_path, plan, fit_settings)))
    assert "lr = 0.003" in page.text
    assert "shown in 2 groups, each with fits of its own" in page.text
    own = [caption for caption in page.captions if "n = 6 replicas" in caption]
    both = [caption for caption in page.captions if "n = 12 replicas in 2 groups" in caption]
    assert (len(own), len(both)) == (21, 3)
    assert page.tags["figure"] == 24
    assert len(set(page.ids)) == len(page.ids)


def test_runs_that_differ_in_seed_are_pooled_and_in_size_are_not(tmp_path: Path, fit_settings: Any):
    for index, (seed, d_model) in enumerate([(0, 32), (1, 32), (0, 64)]):
        model = {"n_layers": 1, "d_model": d_model}
        config = {"seed": seed, "model": model}
        fabricate_study(
            tmp_path,
            Plan(
                study="runs",
                weight_decays=(0.1, 1.0),
                n_seeds=2,
                config=config,
                run_id=f"{index:012d}",
                probes=("attention",),
            ),
        )
    study = Study(tmp_path / "runs")
    with unchecked():
        write_fits(study.folder, fit_study(study, fit_settings))
    page = read_page(build_report(study.folder))
    sizes = Counter(re.search(r"n = (\d+) replicas", c)[1] for c in page.captions)
    assert sizes == {"8": 10, "4": 10, "12": 2}
    assert "d_model = 64" in page.text


def test_hostile_strings_are_text(small: Path):
    hostile = "<script>alert(1)</script>\"'&{{ 7*7 }}$\\frac"
    folder = small
    file = folder / "runs" / SMALL.run_id / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["command"] = manifest["machine"]["host"] = manifest["model"]["name"] = hostile
    manifest["tables"]["evaluation"][0]["meaning"] = hostile
    manifest["config"]["event"]["first99"]["series"] = hostile
    file.write_text(json.dumps(manifest))
    (file.parent / "config.yaml").write_text(f"name: {hostile}\n")
    fits = json.loads((folder / "fits.json").read_text())
    for record in fits["fits"]:
        record["estimator"] = hostile
        record["warnings"].append(hostile)
        if record["fit"] == "boundary":
            record["refused"] = None
            number = {"value": 0.3, "se": None, "ci_low": 0.2, "ci_high": None}
            record["params"] = {"critical": number, "slope": number}
    (folder / "fits.json").write_text(json.dumps(fits))
    page = read_page(build_report(folder))
    assert page.tags["script"] == 0
    assert page.text.count("<script>alert(1)</script>") > 10
    assert "49" not in page.text.split("{{ 7*7 }}")[0][-20:]


def test_a_folder_without_a_study_is_refused(tmp_path: Path):
    with pytest.raises(StoreError, match="no study"):
        build_report(tmp_path)


def test_fits_that_are_no_list_are_refused(tmp_path: Path):
    folder = fabricate_study(tmp_path, SMALL)
    (folder / "fits.json").write_text("{}")
    with pytest.raises(StoreError, match="no list of fits"):
        build_report(folder)


def test_a_model_without_heads_is_told_so(tmp_path: Path, fit_settings: Any):
    plan = Plan(probes=("representation", "weight_norm"), weight_decays=(0.0, 0.3, 1.0), n_seeds=2)
    folder = fabricate_study(tmp_path, plan)
    [run] = (folder / "runs").iterdir()
    update_manifest(
        run,
        absent_probes={"attention": "Mlp has no attn_pattern"},
        task={**Study(folder).runs[0].manifest["task"], "negative": "it never groks (a source)"},
        fork={"run_id": "abc", "step": 30, "parents": [[0, 0]], "optimizer_state": "kept"},
        config={**Study(folder).runs[0].manifest["config"], "fork": {"study": "results/kept"}},
    )
    with unchecked():
        write_fits(folder, fit_study(Study(folder), fit_settings))
    page = build_report(folder).read_text(encoding="utf-8")
    assert "Mlp has no attn_pattern" in page
    assert (
        "A known negative result, at the settings of its source: it never groks (a source)" in page
    )
    assert page.count("This study is a fork of run <code>abc</code>") == 2  # on top, in Methods
    assert 'id="representation"' in page or "representation.svg" in page

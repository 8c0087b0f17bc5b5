"""Every example of the guides is run by a test: those of the questions are run here."""

import re
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import observatory as ob
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

ROOT = Path(ob.__file__).parents[1]
ELSEWHERE = {
    "README.md": "tests/e2e/test_readme.py",
    "docs/fits.md": "tests/e2e/test_library.py",
    "docs/library.md": "tests/e2e/test_library.py",
    "docs/low_precision.md": "tests/unit/watch/test_low_precision.py",
    "docs/sharing.md": "tests/unit/bundle/test_export.py",
    "docs/states.md": "tests/unit/training/test_kept_states.py",
    "docs/watch.md": "tests/e2e/test_library.py",
}
"""Pages whose code another test runs, and that test."""


def python_of(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def no_files() -> None:
    """The page brings its own."""


def networks_of_three_sizes() -> None:
    spins = pd.read_csv("docs/examples/curie_weiss.csv")
    columns = {"n_spins": "p", "temperature": "train_fraction"}
    spins.rename(columns=columns).to_csv("runs.csv", index=False)


def arms_that_share_seeds() -> None:
    rng = np.random.default_rng(0)
    runs = pd.DataFrame({"seed": np.tile(np.arange(8), 4)})
    runs["group"] = np.tile(np.repeat(["plain", "clipped"], 8), 2)
    runs["weight_decay"] = np.repeat([0.1, 1.0], 16)
    runs["peak_sigma_h"] = runs["seed"] + (runs["group"] == "clipped") + rng.normal(size=32) / 10
    runs.to_csv("runs.csv", index=False)


def seeds_and_splits() -> None:
    rng = np.random.default_rng(0)
    runs = pd.DataFrame({"seed": np.repeat(np.arange(8), 8), "split": np.tile(np.arange(8), 8)})
    runs["t_grok"] = np.exp(0.1 * runs["seed"] + rng.normal(size=64) / 10)
    runs.to_csv("runs.csv", index=False)


def a_study_and_its_twins() -> None:
    config: dict[str, object] = {
        "task": {"_target_": "observatory.tasks.modular.Modular", "random_labels": True}
    }
    probes = ("attention", "weight_norm", "logit_scale")
    decays = (0.1, 0.15, 0.2, 0.3, 1.0)
    plan = Plan(study="laptop_horizon", weight_decays=decays, n_seeds=6, probes=probes)
    fabricate_study(Path("results"), plan)
    twins = Plan(study="twins", weight_decays=(0.0,), n_seeds=6, probes=probes, run_id="0" * 12,
                 config=config)  # fmt: skip
    fabricate_study(Path("results"), twins)


HERE: dict[str, Callable[[], None]] = {
    "docs/curves.md": no_files,
    "docs/forecast.md": a_study_and_its_twins,
    "docs/paired.md": arms_that_share_seeds,
    "docs/scaling.md": networks_of_three_sizes,
    "docs/variance.md": seeds_and_splits,
}
"""Pages whose code is run here, and what makes the files that they read."""


@pytest.mark.slow
@pytest.mark.parametrize("page", HERE)
def test_the_code_of_a_guide_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    HERE[page]()
    for block in python_of(page):
        exec(compile(block, page, "exec"), {})
    plt.close("all")


def test_no_code_of_a_guide_is_left_out() -> None:
    pages = ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
    assert {page for page in pages if python_of(page)} == {*HERE, *ELSEWHERE}
    for page, test in ELSEWHERE.items():
        text = (ROOT / test).read_text()
        assert page in text or Path(page).name in text

"""The scripts of docs/examples, each at a size of seconds."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

import observatory as ob
from tests import docs_clock

EXAMPLES = Path(ob.__file__).parents[1] / "docs" / "examples"


OTHERS = ("attn_out", "mlp_out", "mlp_post")


def run(script: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / script, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported(script: str) -> ModuleType:
    """A script as a module, and those beside it that it imports."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(script)
    finally:
        sys.path.remove(str(EXAMPLES))


@pytest.mark.slow
def test_a_language_model_is_trained_watched_and_fitted(tmp_path: Path) -> None:
    options = ["--out", str(tmp_path / "lm"), "--preset", "seconds"]
    assert "width 32 depth 2 step 40" in run("language_model.py", *options)
    assert "held out" not in run("language_model.py", *options)  # nothing is trained again
    made = tmp_path / "made"
    trained = ["--trained", str(tmp_path / "lm"), "--to", str(made)]
    run("language_model_laws.py", "--preset", "seconds", *trained)
    table = pd.read_csv(made / "language_model_traces.csv")
    assert set(zip(table["width"], table["depth"], strict=True)) == {(32, 1), (32, 2)}
    assert table["step"].max() == 40
    fitted = pd.read_csv(made / "language_model_laws.csv")
    assert fitted["site"].value_counts().to_dict() == {"stream": 6} | dict.fromkeys(OTHERS, 3)


@pytest.mark.slow
def test_a_language_model_that_was_stopped_goes_on_as_if_it_was_not(tmp_path: Path) -> None:
    script = imported("language_model")
    given = yaml.safe_load((EXAMPLES / "language_model.yaml").read_text())["seconds"]
    given |= {"held_out_windows": 2, "held_out_every": 5, "save_every": 4, "steps": 12}
    text = torch.randint(256, (300_000,), generator=torch.Generator().manual_seed(0)).byte()
    for folder, stops in ((tmp_path / "whole", (12,)), (tmp_path / "parts", (6, 12))):
        for until in stops:
            script.train(folder, text, 32, 1, given, until)
    whole, parts = (
        load_file(tmp_path / name / "checkpoints" / "32x1.safetensors")
        for name in ("whole", "parts")
    )
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    seen, again = (
        ob.Study(tmp_path / name / "study").runs[0].table("probes/massive_activations")
        for name in ("whole", "parts")
    )
    pd.testing.assert_frame_equal(seen, again)


def stored(name: str) -> pd.DataFrame:
    return pd.read_csv(EXAMPLES / f"language_model_{name}.csv")


def test_the_stored_laws_follow_from_the_stored_traces() -> None:
    script = imported("language_model_laws")
    given = yaml.safe_load((EXAMPLES / "language_model.yaml").read_text())
    of = "width == 64 & depth == 2"
    seen = stored("traces").query(f"{of} & step >= 200")
    rows = script.laws(seen, "after warm-up", ["stream"], given["laws"])
    made = pd.DataFrame(rows)
    kept = stored("laws").query(f"{of} & site == 'stream' & looks == 'after warm-up'")
    numbers = ["last_step", "last", "most", "power", "r2", "K"]
    assert made["class"].tolist() == kept["class"].tolist()
    for name in numbers:
        assert made[name].tolist() == pytest.approx(kept[name].tolist(), rel=1e-3, nan_ok=True)
    drawn = stored("fitted").query(of)["law"].tolist()
    assert script.fitted_traces(rows)["law"].tolist() == pytest.approx(drawn, rel=1e-3)


def test_the_stored_errors_follow_from_the_stored_laws() -> None:
    given = yaml.safe_load((EXAMPLES / "language_model.yaml").read_text())["laws"]
    laws = stored("laws").query("site == 'stream' & looks == 'after warm-up'")
    made = imported("language_model_regression").left_out(laws, given)
    pd.testing.assert_frame_equal(made, stored("regression"), rtol=1e-4)


def test_the_drawn_law_has_the_stored_r2() -> None:
    points = ["width", "depth", "layer", "step"]
    both = stored("fitted").merge(stored("traces"), on=points)
    kept = (
        stored("laws").query("site == 'stream' & looks == 'after warm-up'").set_index(points[:-1])
    )
    for key, of in both.groupby(points[:-1]):
        left = ((of["stream"] - of["law"]) ** 2).sum()
        all_of_it = ((of["stream"] - of["stream"].mean()) ** 2).sum()
        assert 1 - left / all_of_it == pytest.approx(kept.loc[key, "r2"], abs=2e-3)


def test_ridge_finds_a_planted_law_and_no_law_in_noise() -> None:
    script = imported("language_model_regression")
    rng = np.random.default_rng(0)
    fold = np.repeat(np.arange(8), 5)
    x = rng.normal(size=(40, 3))
    planted, noise = x @ [1.0, -2.0, 0.5] + 3.0, rng.normal(size=40)
    by_ridge, by_mean = script.predicted(x, planted, fold, [0.01, 1.0, 1000.0])
    assert script.rms(by_ridge - planted) < 0.01 * script.rms(by_mean - planted)
    by_ridge, by_mean = script.predicted(x, noise, fold, [0.01, 1.0, 1000.0])
    assert script.rms(by_ridge - noise) == pytest.approx(script.rms(by_mean - noise), rel=0.15)


def test_every_design_of_the_clock_is_drawn_from_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = imported("clock_designs")
    assert {study for study, _ in script.DESIGNS.values()} == set(docs_clock.STUDIES)
    two = {"refused": ("clock", None), "a clock": ("clock_muon", None)}
    monkeypatch.setattr(script, "DESIGNS", two)
    monkeypatch.setattr(script, "HORIZONS", {20_000: ("k", 0.0)})
    script.main(tmp_path / "designs.png")
    assert (tmp_path / "designs.png").stat().st_size > 0
    assert capsys.readouterr().out.startswith("clock, 20000 steps: ")

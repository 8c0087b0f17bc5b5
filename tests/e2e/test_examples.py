"""The scripts of docs/examples, each at a size of seconds."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

import observatory as ob

EXAMPLES = Path(ob.__file__).parents[1] / "docs" / "examples"


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
    run("language_model_laws.py", "--trained", str(tmp_path / "lm"), "--to", str(made))
    table = pd.read_csv(made / "language_model_traces.csv")
    assert set(zip(table["width"], table["depth"], strict=True)) == {(32, 1), (32, 2)}
    assert table["step"].max() == 40
    fitted = pd.read_csv(made / "language_model_laws.csv")
    assert fitted["site"].value_counts().tolist() == [3] * 4


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

"""The scripts of docs/examples, each at a size of seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import observatory as ob

EXAMPLES = Path(ob.__file__).parents[1] / "docs" / "examples"


def run(script: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / script, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_language_model_is_trained_watched_and_fitted(tmp_path: Path) -> None:
    options = ["--steps", "40", "--widths", "32", "--depths", "1", "2"]
    out = run("language_model.py", "--out", str(tmp_path / "lm"), *options)
    assert "width 32 depth 2 step 40" in out
    table = pd.read_csv(tmp_path / "lm" / "ratios.csv")
    assert set(table["model"]) == {"32 x 1", "32 x 2"}
    assert table["step"].max() == 40
    assert len(json.loads((tmp_path / "lm" / "emergence.json").read_text())) == 3
    again = run("language_model.py", "--out", str(tmp_path / "lm"), *options)
    assert again.count("has ended") == 2

"""The page of a finite-size chain: a panel per link, every size, and what is missing said."""

import numpy as np
import pytest

from observatory.analysis.scaling.figure import finite_size_figure
from tests.made_sizes import QUICK, SIZES, chain, scaled

NAMES = {"size": "p", "control": "train$fraction", "value": "m"}


@pytest.fixture(scope="module")
def record() -> dict:
    rows = scaled(np.random.default_rng(0), n_control=11, n_seeds=10)
    return chain(**QUICK, zeta=0.0).estimate(rows, 0).to_json()


@pytest.mark.slow
def test_every_link_has_a_panel_and_every_size_a_line(record: dict) -> None:
    figure = finite_size_figure(record, NAMES)
    assert len(figure.axes) == 8
    assert figure.get_suptitle().startswith(record["extras"]["verdict"])
    titles = " ".join(axes.get_title(loc="left") for axes in figure.axes)
    for word in ("U4 raw", "mean; crossings", "lowest mean", "susceptibility", "S = "):
        assert word in titles
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [f"{size:g}" for size in SIZES]
    figure.draw_without_rendering()


def test_sizes_that_do_not_cross_and_log_axes_are_drawn(record: dict) -> None:
    curves = dict(record["curves"])
    for kind in ("raw", "centred", "shifted"):
        for end in ("", "_low", "_high"):
            curves[f"pair.{kind}{end}"] = [None] * len(curves["pair.inverse_size"])
    params = {k: v for k, v in record["params"].items() if not k.startswith(("crossing", "drift"))}
    table = {k: v for k, v in record["table"].items() if not k.startswith("crossing_")}
    extras = {**record["extras"], "log_control": True}
    bare = {**record, "curves": curves, "params": params, "table": table, "extras": extras}
    figure = finite_size_figure(bare, NAMES)
    assert "fewer than 3 pairs cross" in figure.axes[2].get_title(loc="left")
    assert [text.get_text() for text in figure.axes[5].texts] == ["no pair of sizes crosses"]
    assert figure.axes[0].get_xscale() == "log"
    figure.draw_without_rendering()

"""One figure of a study alone."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

import observatory
from observatory.analysis.report.figure import figure_names
from observatory.cli.main import run
from observatory.core.errors import ConfigError
from tests.unit.analysis.report.fabricate import Plan, fitted_study, published


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = Plan(study="alone", weight_decays=(0.0, 0.1, 0.3, 1.0), n_seeds=3, probes=())
    return fitted_study(tmp_path_factory.mktemp("alone"), plan, published(20))


def test_a_figure_has_the_width_and_the_style_asked_for(study: Path, tmp_path: Path):
    sheet = tmp_path / "mine.mplstyle"
    sheet.write_text("axes.facecolor: 112233\n")
    made = observatory.figure(study, "rate", width=3.4, style=sheet)
    assert made.get_size_inches()[0] == pytest.approx(3.4)
    assert made.axes[0].get_facecolor()[:3] == pytest.approx((0x11 / 255, 0x22 / 255, 0x33 / 255))
    plain = observatory.figure(study, "rate")
    assert plain.axes[0].get_facecolor() == (1.0, 1.0, 1.0, 1.0)


def test_it_is_drawn_into_axes_of_the_users(study: Path):
    mine = Figure(figsize=(2.0, 2.0))
    axes = mine.subplots(1, 2)
    assert observatory.figure(study, "rate", ax=axes[1]) is mine
    assert axes[1].get_xlabel() == "weight decay"
    assert not axes[0].lines
    assert mine.get_size_inches().tolist() == [2.0, 2.0]
    for name, height in (("outcomes", 1.0), ("regimes", None), ("times", None)):
        observatory.figure(study, name, ax=mine.add_subplot())
        drawn = mine.axes[-1]
        assert drawn.get_xlabel() == "weight decay"
        assert drawn.get_legend_handles_labels()[1]
        assert height is None or drawn.get_ylim()[1] == height
    with pytest.raises(ConfigError, match=r"trajectories-acc has several.*'rate'.*'outcomes'"):
        observatory.figure(study, "trajectories-acc", ax=axes[0])


def test_what_cannot_be_drawn_is_said(study: Path):
    with pytest.raises(ConfigError, match="`figure`"):
        observatory.figure(study, "rates")
    with pytest.raises(ConfigError, match="`width` must be above 0"):
        observatory.figure(study, "rate", width=-1.0)
    with pytest.raises(ConfigError, match="`style` must be"):
        observatory.figure(study, "rate", style="nowhere.mplstyle")


def test_the_command_lists_and_writes(study: Path, tmp_path: Path, capsys):
    known = figure_names(study)
    assert {"rate", "outcomes", "regimes"} <= set(known)
    out = tmp_path / "fig1.pdf"
    assert run(["figure", str(study), "rate", "--width", "3.4", "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"%PDF")
    assert run(["figure", str(study)]) == 0
    assert "Event rate against weight decay" in capsys.readouterr().out

"""The library: what it returns prints itself, says its intervals and draws itself."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from observatory import fits
from observatory.analysis.boundary.figure_fit import rates_table
from observatory.analysis.fit.questions import question_named, questions
from observatory.analysis.page.save import save_picture
from observatory.core.errors import ConfigError, FitRefusedError

COUNTS = pd.DataFrame(
    {"weight_decay": [0.0, 0.01, 0.03, 0.1, 0.3], "n": 20, "n_grokked": [0, 1, 6, 15, 20]}
)


def runs() -> pd.DataFrame:
    """120 runs with seeds, times and a horizon of 3000 steps."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"weight_decay": np.repeat(np.geomspace(0.05, 1.0, 6), 20)})
    frame["seed"] = np.tile(np.arange(20), 6)
    time = 200.0 / frame["weight_decay"] * np.exp(0.3 * rng.normal(size=120))
    frame["time"] = time.where(time <= 3000).round()
    frame["grokked"] = frame["time"].notna()
    return frame


def test_the_result_prints_itself() -> None:
    found = fits.boundary(COUNTS, "firth", horizon_steps=5000)
    assert str(found) == repr(found)
    assert "boundary (firth), event grokked, horizon 5000 steps, n = 80" in str(found)
    summary = found.summary()
    assert "Boundary fit" in summary
    assert "[0.025" in summary
    assert "columns: control weight_decay, n n, n_grokked n_grokked" in summary
    assert "<pre>" in found._repr_html_()
    assert found.warnings[0] == (
        "Runs with weight decay 0, which no log axis shows, are left out (20)."
    )


@pytest.mark.slow
def test_params_and_intervals_are_tables() -> None:
    found = fits.boundary(COUNTS, "firth", level=0.9)
    limits = found.conf_int()
    assert list(limits.columns) == ["lower", "upper"]
    assert list(limits.index) == list(found.params.index) == ["critical", "slope"]
    assert (limits["lower"] < found.params).all()
    assert (limits["upper"] > found.params).all()
    wider = fits.boundary(COUNTS, "firth", level=0.99).conf_int()
    assert (wider["lower"] < limits["lower"]).all()


def test_one_table_holds_what_is_said_of_every_parameter() -> None:
    found = fits.boundary(COUNTS, "firth")
    frame = found.frame()
    assert list(frame.columns) == ["value", "se", "ci_low", "ci_high"]
    assert frame.index.name == "name"
    assert frame["value"].to_dict() == found.params.to_dict()
    assert (frame[["ci_low", "ci_high"]].to_numpy() == found.conf_int().to_numpy()).all()


def test_curves_of_a_record_are_tables_by_name() -> None:
    found = fits.survival(runs(), horizon_steps=3000)
    curve = found.table("km")
    assert {"weight_decay", "step", "share", "low", "high"} <= set(curve.columns)
    with pytest.raises(ConfigError, match=r"`curve` must be one of .*'km'.*, got 'profile'"):
        found.table("profile")


def test_the_record_has_its_main_numbers_on_top() -> None:
    record = fits.boundary(COUNTS, "firth").to_json()
    assert record["critical"] == record["params"]["critical"]["value"]
    assert record["ci_high"] == record["params"]["critical"]["ci_high"]
    assert record["slope"] == record["params"]["slope"]["value"]
    assert any("names no horizon" in warning for warning in record["warnings"])
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert json.loads(fits.boundary(COUNTS, "firth").to_string()) == record


def test_a_control_of_any_name_is_called_by_it() -> None:
    renamed = COUNTS.rename(columns={"weight_decay": "p"})
    found = fits.boundary(renamed, "firth", control="p")
    assert "(p)" in str(found)
    assert found.record["extras"]["control"] == "p"
    with pytest.raises(ConfigError, match="no weight_decay"):
        fits.boundary(renamed)


@pytest.mark.slow
def test_an_option_keeps_the_name_that_it_had_before() -> None:
    renamed = COUNTS.rename(columns={"weight_decay": "p"})
    before = fits.boundary(renamed, "firth", x="p")  # pyright: ignore[reportCallIssue]
    assert before.to_json() == fits.boundary(renamed, "firth", control="p").to_json()
    with pytest.raises(ConfigError, match=r"`control` and `x` are one option"):
        fits.boundary(renamed, "firth", control="p", x="p")  # pyright: ignore[reportCallIssue]


def test_a_refusal_is_raised_and_has_a_record() -> None:
    flat = COUNTS.assign(n_grokked=0)
    with pytest.raises(FitRefusedError, match="Add larger") as refusal:
        fits.boundary(flat, horizon_steps=100)
    record = refusal.value.record
    assert record is not None
    assert record["refused"] == str(refusal.value)
    assert (record["critical"], record["horizon_steps"], record["n"]) == (None, 100, 80)
    assert record["extras"] == {
        "columns": "control weight_decay, n n, n_grokked n_grokked",
        "control": "weight decay",
    }
    with pytest.raises(FitRefusedError, match="Add larger") as refusal:
        fits.boundary(flat.rename(columns={"weight_decay": "p"}), control="p")
    assert refusal.value.record is not None
    assert refusal.value.record["extras"]["control"] == "p"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fit", "options", "artists"),
    [
        (fits.boundary, {}, {"fit", "critical"}),
        (fits.times, {"n_bootstrap": 50}, {"power-law", "grokked", "censored"}),
        (fits.survival, {}, {"incidence"}),
        (fits.horizon, {"n_bootstrap": 20}, {"critical-at-horizon", "law-zero", "law-free"}),
    ],
)
def test_every_result_draws_itself(fit, options, artists: set[str], tmp_path: Path) -> None:
    axes = Figure().add_subplot()
    fitted = fit(runs(), horizon_steps=3000, **options)
    assert fitted.plot(axes) is axes.figure
    assert artists <= {artist.get_gid() for artist in axes.get_lines()}
    assert axes.get_legend() is not None
    (own,) = fitted.plot().axes
    assert artists <= {artist.get_gid() for artist in own.get_lines()}
    fitted.save_plot(tmp_path / "one.svg")
    once = (tmp_path / "one.svg").read_bytes()
    fitted.save_plot(tmp_path / "one.svg")
    assert (tmp_path / "one.svg").read_bytes() == once


@pytest.mark.slow
def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    found = fits.boundary(COUNTS, "firth")
    with pytest.raises(ConfigError, match="cannot be written"):
        found.save_plot(tmp_path / "none" / "one.svg")
    with pytest.raises(ConfigError, match=r"one\.jpg` must end in \.pdf, \.png or \.svg, got"):
        found.save_plot(tmp_path / "one.jpg")
    with pytest.raises(ConfigError, match="`plot` is not for ratio, which has no figure"):
        fits.ratio(COUNTS, COUNTS, n_bootstrap=50).plot()


def test_a_disk_that_fills_leaves_the_earlier_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fills(figure: Figure, path: Path, **how: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "one.svg").write_text("earlier")
    monkeypatch.setattr(Figure, "savefig", fills)
    with pytest.raises(ConfigError, match="No space left on device"):
        save_picture(Figure(), tmp_path / "one.svg")
    assert (tmp_path / "one.svg").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["one.svg"]


@pytest.mark.slow
def test_what_a_result_is_about_is_in_its_text() -> None:
    assert "weight decay 1: median " in str(fits.survival(runs(), horizon_steps=3000))
    judged = fits.horizon(runs(), horizon_steps=3000, n_bootstrap=20)
    verdict = judged.record["extras"]["verdict"]
    assert f"verdict: {verdict}. " in str(judged)
    assert list(judged.verdicts) == [verdict]


@pytest.mark.slow
def test_a_control_of_many_values_is_drawn_in_groups() -> None:
    data = fits.boundary(dense(), "lsq").data.observations
    table = rates_table(data, 0.95)
    assert 2 < len(table) <= 20
    assert table["n"].astype(float).sum() == 1000
    assert table["weight_decay"].is_monotonic_increasing


def dense() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = np.geomspace(0.01, 1, 1000)
    return pd.DataFrame({"weight_decay": x, "grokked": rng.random(1000) < x})


def test_questions_are_found_by_their_names_and_by_those_of_before() -> None:
    assert {"boundary", "ratio", "seeds", "times", "survival", "horizon"} <= set(questions())
    assert set(dir(fits)) == set(questions())
    for name, question in questions().items():
        assert getattr(fits, name) is question.ask
        assert all(question_named(alias) is question for alias in question.aliases)
    with pytest.raises(ConfigError, match=r"`fit` must be one of .* Did you mean boundary\?"):
        question_named("boundry")
    with pytest.raises(AttributeError, match="`fit` must be one of"):
        _ = fits.slope

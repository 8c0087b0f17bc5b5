"""Arms beside their own replicas: what counts, since when, and what is left out and said."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import observatory as ob
from observatory.analysis.fit.settings import fit_nodes
from observatory.analysis.fit.study import fit_study, write_fits
from observatory.analysis.paired.arms import Networks
from observatory.analysis.paired.effects import effects
from observatory.analysis.paired.timeline import timeline
from observatory.analysis.report.build import build_report
from observatory.core.columns import Column
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.launch.compose import compose
from observatory.launch.run import launch
from observatory.store.reader import Run, Study

N, HORIZON, MOMENT = 8, 100, 40
NOISE = {"_target_": "observatory.interventions.noise.Noise", "like": {}}
ACT = {"_target_": "observatory.interventions.shuffle.Shuffle", "part": "W_U"}


def made_up(rows: pd.DataFrame, signal: pd.DataFrame) -> Run:
    """A run that says what is asked of it here: who is in it, and one signal."""
    run = Run.__new__(Run)
    vars(run).update(
        run_id="r",
        manifest={"horizon_steps": HORIZON},
        table_of=lambda column: "probes/x",
        columns=lambda table: (Column(name="s", unit="nats", meaning="a signal"),),
        table=lambda name, columns: signal,
        replicas=lambda: rows,
    )
    return run


def study_of(
    effect: dict[str, float],
    *,
    strengths: dict[str, float] | None = None,
    never: int = 0,
    seen: dict[str, list[float]] | None = None,
    outcomes: dict[str, list[str]] | None = None,
    per_seed: int = 1,
) -> Networks:
    """N replicas with arms whose signal is the replica's after MOMENT, and an effect more.

    The replica's own signal is 9 before MOMENT: that is no peak after the act. So many in a row
    have one seed, at different weight decays.
    """
    rows, signal = list[dict[str, Any]](), list[pd.DataFrame]()
    steps = np.arange(0, HORIZON + 1, 10)
    for place, arm in enumerate(["none", *effect]):
        for parent in range(N):
            replica, hi = place * N + parent, (seen or {}).get(arm, [np.nan] * N)[parent]
            moment = 0 if arm == "none" else MOMENT
            outcome = (outcomes or {}).get(arm, ["none"] * N)[parent]
            rows.append(
                {
                    **{"run_id": "r", "replica": replica, "parent": parent, "arm": arm},
                    **{"weight_decay": 1.0 + parent % 2, "seed": parent // per_seed},
                    **{"moment": moment, "step": HORIZON, "first99_hi": hi, "outcome": outcome},
                }
            )
            own = steps[steps > moment] if moment else steps
            values = np.where(own <= MOMENT, 9.0, 1.0 + 0.01 * parent + effect.get(arm, 0.0))
            signal.append(pd.DataFrame({"replica": replica, "step": own, "s": values}))
    asked = pd.DataFrame(rows)
    known = {
        name: {
            "intervention": NOISE if "noise" in name else ACT,
            "moment": {"step": MOMENT},
            "strength": (strengths or {}).get(name, 1.0),
            "control": "noise" if name != "noise" and "noise" in effect else None,
        }
        for name in effect
    }
    return Networks([made_up(asked, pd.concat(signal))], asked.iloc[: len(asked) - never], known)


def test_a_peak_counts_from_the_act_on_and_every_arm_has_its_own_replica_and_its_control() -> None:
    rows, said = effects([study_of({"act": 0.5, "noise": 0.2})], "s", "first99")
    found = {c.label: c.second - c.first for c in rows.contrasts()}
    assert rows.outcome == "peak s after the act (nats)"
    assert not said
    assert list(found) == [
        f"{where}: {who}"
        for who in ("act - parent", "act - noise", "noise - parent")
        for where in ("weight decay 1", "weight decay 2", "all weight decays")
    ]
    np.testing.assert_allclose(found["all weight decays: act - parent"], np.full(N, 0.5))
    np.testing.assert_allclose(found["weight decay 2: act - noise"], np.full(N // 2, 0.3))


def test_times_before_the_act_are_left_out_and_those_beyond_the_horizon_count_with_it() -> None:
    seen = {
        "none": [20.0, 60.0, 60.0, 60.0, 60.0, 60.0, np.nan, np.nan],
        "act": [20.0, 90.0, 80.0, np.nan, 70.0, 60.0, np.nan, 80.0],
    }
    net = study_of({"act": 0.0}, seen=seen)
    rows, [said] = effects([net], "time", "first99")
    everyone = rows.contrasts()[-1]
    assert everyone.first.tolist() == [60.0, 60.0, 60.0, 60.0, 60.0, 100.0, 100.0]
    assert everyone.second.tolist() == [90.0, 80.0, 100.0, 70.0, 60.0, 100.0, 80.0]
    assert "1 of 8 pairs had first99 before the act" in said
    assert "2 of 7 of the arm, 2 of what it is compared with; they count with all 100" in said
    rates, _ = effects([net], "rate", "first99")
    assert rates.contrasts()[-1].second.sum() == 5


@pytest.mark.parametrize("when", [20.0, 60.0])  # before the act, and after it
def test_networks_that_fail_after_they_had_the_event_are_still_pairs_that_had_it(
    when: float,
) -> None:
    net = study_of(
        {"act": 0.0},
        seen={"none": [when] * N, "act": [when] * N},
        outcomes={"none": ["grokked"] * N, "act": ["collapsed"] * 6 + ["grokked"] * 2},
    )
    kept, said = effects([net], "retention", "first99")
    assert not said
    assert kept.contrasts()[-1].first.tolist() == [1.0] * N
    assert kept.contrasts()[-1].second.tolist() == [0.0] * 6 + [1.0] * 2
    (rates, of_rates), (times, of_times) = (
        effects([net], outcome, "first99") for outcome in ("rate", "time")
    )
    if when <= MOMENT:
        assert of_rates == of_times == ["act - parent: 8 of 8 pairs had first99 before the act."]
        assert [c.first.size for c in (*rates.contrasts(), *times.contrasts())] == [0] * 6
    else:
        assert rates.contrasts()[-1].second.tolist() == [0.0] * 6 + [1.0] * 2
        assert times.contrasts()[-1].second.tolist() == [100.0] * 6 + [60.0] * 2
        assert times.contrasts()[-1].first.tolist() == [60.0] * N


def test_what_was_kept_is_first99_of_which_the_outcome_speaks_whatever_the_event() -> None:
    all_had = {"none": [60.0] * N, "act": [60.0] * N}
    grokked = {"none": ["grokked"] * N, "act": ["grokked"] * N}
    net = study_of({"act": 0.0}, seen=all_had, outcomes=grokked)
    net.rows["first95_hi"] = np.nan
    rows, said = effects([net], "retention", "first95")
    assert "kept first99" in rows.outcome
    assert rows.contrasts()[-1].first.size == N
    assert not said


def test_what_is_tested_does_not_depend_on_which_pairs_there_are() -> None:
    """Of an arm that parted nowhere, and of an outcome that nobody has."""
    for net, outcome in (
        (study_of({"act": 0.5}, never=N), "s"),
        (study_of({"act": 0.5}), "retention"),
        (study_of({"a": 0.1, "b": 0.2}, strengths={"a": 0.5}, never=N), "s"),
    ):
        rows, _ = effects([net], outcome, "first99")
        labels = [c.label for c in rows.contrasts() if c.first.size == 0]
        named = next(iter(labels)).partition(": ")[2]
        places = ("weight decay 1", "weight decay 2", "all weight decays")
        assert labels[:3] == [f"{place}: {named}" for place in places]
        assert rows.n_tests == 3 * len({c.arm for c in rows.contrasts()})


def test_all_weight_decays_together_count_a_seed_once() -> None:
    seen = {"none": [60.0] * N, "act": [60.0, np.nan] * (N // 2)}
    net = study_of({"act": 0.5}, seen=seen, per_seed=2)
    peaks, _ = effects([net], "s", "first99")
    assert [c.first.size for c in peaks.contrasts()] == [N // 2] * 3
    np.testing.assert_allclose(peaks.contrasts()[-1].first, 1.005 + 0.02 * np.arange(N // 2))
    rates, _ = effects([net], "rate", "first99")
    assert [c.rates for c in rates.contrasts()] == [True, True, False]
    assert rates.contrasts()[-1].second.tolist() == [0.5] * (N // 2)
    assert set(timeline([net], ["s"], 0.95)["s act.n"]) == {N / 2}


def test_arms_that_differ_in_strength_alone_have_a_slope_through_nothing_done() -> None:
    net = study_of({"half": 0.2, "full": 0.4}, strengths={"half": 0.5, "full": 1.0})
    rows, _ = effects([net], "s", "first99")
    slopes = [c for c in rows.contrasts() if "per strength" in c.arm]
    assert len(slopes) == 3
    np.testing.assert_allclose(slopes[-1].second - slopes[-1].first, np.full(N, 0.4))


def test_copies_that_never_parted_are_counted_and_are_no_pairs() -> None:
    net = study_of({"act": 0.5}, never=3)
    assert net.never() == {"act": (3, N)}
    assert len(net.pairs("act", "parent")) == N - 3
    assert net.without_control() == ["act"]
    assert study_of({"act": 0.5, "noise": 0.2}).without_control() == []


def test_a_timeline_is_the_mean_difference_since_the_act() -> None:
    curves = timeline([study_of({"act": 0.5})], ["s"], 0.95)
    assert curves["s act.since"][-1] == HORIZON - MOMENT
    np.testing.assert_allclose(np.array(curves["s act.mean"], dtype=float), 0.5)
    assert set(curves["s act.n"]) == {float(N)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Six tiny replicas with an act and its noise at step 20, and one that never comes."""
    folder = tmp_path_factory.mktemp("arms")
    settings = [
        *("task.p=7", "model.d_model=16", "model.d_mlp=16", "study=tiny", "horizon_steps=60"),
        *("evaluation.every=20", "fleet.shards=1", "fleet.size=6", "probe=[attention]"),
        *("batch_size=8", "retirement.settle=false", f"results={folder}"),
        *("+sweep.scientific.weight_decay=[1.0]", "+sweep.nuisance.seed=[0,1,2,3,4,5]"),
    ]
    at = {"_target_": "observatory.interventions.moments.AtStep", "step": 20}
    late = {"_target_": "observatory.interventions.moments.AtEvent", "event": "first99"}
    noise = {**NOISE, "like": ACT}
    arms = {
        "act": {"intervention": ACT, "moment": at, "strength": 1.0, "control": "noise"},
        "noise": {"intervention": noise, "moment": at, "strength": 1.0, "control": None},
        "late": {"intervention": ACT, "moment": late, "strength": 1.0, "control": None},
    }
    launch({**compose("train", settings), "arms": arms})
    return Study(folder / "tiny")


def test_the_same_pairs_are_in_python_in_fits_and_on_the_page(trained: Study) -> None:
    found = ob.fits.paired(trained, pair="parent", value="val_loss")
    assert list(found.params.index) == [
        f"weight decay 1: {who}" for who in ("act - parent", "act - noise", "noise - parent")
    ]
    assert "late: 6 of 6 copies never parted" in found.warnings[0]
    assert "late has no control arm" in found.warnings[1]
    everything = ob.fits.paired(trained, pair="parent")
    assert "peak sigma_h" in str(everything)
    made = fit_study(trained, fit_nodes())
    records = [r for r in made if r["fit"] == "paired"]
    assert [r["extras"]["outcome"] for r in records][:2] == ["sigma_h", "sigma_h@last"]
    # four contrasts of five outcomes: those that nobody has, or that never parted, count as well
    assert {r["extras"]["n_tests"] for r in records if r["refused"] is None} == {20}
    assert [r["extras"]["outcome"] for r in records if r["refused"]] == ["time", "retention"]
    assert "val_acc act.mean" in records[0]["curves"]
    write_fits(trained.folder, made)
    page = build_report(trained.folder, ()).read_text(encoding="utf-8")
    for text in ("Interventions: paired effects", "act − replica", "late has no control arm",
                 "never parted", "Methods: interventions", "bit-identical"):  # fmt: skip
        assert text in page


def test_what_cannot_be_asked_of_arms_is_refused(trained: Study) -> None:
    with pytest.raises(ConfigError, match="must be left out with `pair` 'parent'"):
        ob.fits.paired(trained, pair="parent", family="seed")
    with pytest.raises(ConfigError, match="reference"):
        ob.fits.paired(trained, pair="parent", reference="nobody")
    with pytest.raises(FitRefusedError, match="registered with 4 tests, the table holds 20"):
        ob.fits.paired(trained, pair="parent", settings={"n_tests": 4})
    assert Path(trained.folder).is_dir()

"""That a study is a fork is said in a sentence: of what, when, into which arms."""

from typing import Any

from observatory.analysis.report.forks import forks
from observatory.launch.compose import compose

MOMENTS = "observatory.interventions.moments"


def said(*manifests: dict[str, Any]) -> list[str]:
    return forks({f"run{place}": manifest for place, manifest in enumerate(manifests)})


def fork(state: str, **own: Any) -> dict[str, Any]:
    made = {"run_id": "abc", "step": 30, "parents": [[0, 0], [1, 4]], "optimizer_state": state}
    return {"fork": made, "config": {"fork": {"study": "/x/results/kept", "step": 30, **own}}}


def test_a_fork_names_its_parent_and_step() -> None:
    assert said(fork("kept")) == [
        "This study is a fork of run `abc` of the study `kept`: each of its 2 replicas goes on "
        "from the state of its parent at step 30, with the state of the optimizer."
    ]
    one = fork("kept")
    one["fork"]["parents"] = [[0, 3]]
    assert "`kept`: its one replica goes on from the state of its parent" in said(one)[0]
    [words] = said(fork("new", weight_decay=1.0, lr=None))
    assert words.endswith("with a new state of the optimizer; the parents had weight decay 1.")


def test_arms_are_named_with_their_moments() -> None:
    presets = "arms=[reinitialise_heads,noise_heads,half_logits]"
    config = compose("train", ["experiment=smoke", presets])
    assert said({"config": config}) == [
        "This study forks its replicas; each is copied, bit for bit: into `reinitialise_heads` and "
        "`noise_heads` when its `mem` is seen; into `half_logits` at step 0. A copy and its parent "
        "differ by what is done in the arm alone."
    ]
    peak = {"_target_": f"{MOMENTS}.AtPeak", "signal": "sigma_h", "fall": 0.125, "after": 50}
    late = {"_target_": f"{MOMENTS}.AtEvent", "event": "mem", "after": 1}
    own = {"_target_": "mine.AtDawn", "hour": 6}
    first = {"_target_": f"{MOMENTS}.FirstOf", "moments": [peak, late, own]}
    [words] = said({"config": {"arms": {"a": {"moment": first}}}})
    assert (
        "each is copied, bit for bit: into `a` at the first of these: when its `sigma_h` has "
        "fallen 12.5% below its peak of the steps from 50 on, or 1 step after its `mem` is seen, "
        "or at the moment AtDawn (hour 6). A copy"
    ) in words


def test_what_holds_for_one_run_alone_is_said_of_it() -> None:
    assert said({"config": {}}, {"config": {"arms": {}, "fork": None}}, {}) == []
    assert len(said(fork("kept"), fork("kept"))) == 1
    [words] = said({"config": {}}, fork("kept"))
    assert words.startswith("Run `run1` is a fork of run `abc`")

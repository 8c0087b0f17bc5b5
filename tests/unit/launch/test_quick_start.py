"""`status`, a finished `map` and a mistake in a setting import nothing that trains."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "lightning", "mlflow", "optuna", "statsmodels", "matplotlib")

MISTAKES = (
    *("train_fraction=1.5", "train_fraction=0", "seed=0.5", "batch_size=0", "horizon_steps=0"),
    *("horizon_steps=2510", "optimizer.weight_decay=-1", "optimizer.lr=0", "optimizer.lr=fast"),
    *("optimizer.decay=some", "+optimizer.momentum=0.9", "+model.depth=2", "model.d_model=wide"),
    *("model.positions=round", "+task.prime=7", "task.p=many", "loss=li2 loss.centre=[1]"),
    *("fleet.size=0", "fleet.size=1.5", "fleet.shards=many", "fleet.threads=0"),
    *("fleet.dtype=bfloat16", "fleet.device=tpu", "fleet.path=quick", "+fleet.slots=8"),
    *("evaluation.every=0", "+evaluation.chunks=1", "retirement.tail_steps=-1"),
    *("+retirement.tail=1", "store.checkpoint_every=0", "store.progress_every=often"),
    *("probe.attention.schedule.k=0", "+probe.lar.probe.depth=1", "event=[first99,mem]"),
    *("event.mem.series=loss", "event.mem.level=high", "+event.mem.looks=3"),
    *("+sweep.scientific.weight_decay=[]", "+sweep.scientific.weight_decay=[0.1,0.1]"),
    *("+sweep.scientific.dropout=[0.1]", "model=no_such", "no_such=1", "optimizer.no_such=1"),
)


def imported(code: str, *arguments: str) -> tuple[object, list[str]]:
    """What a fresh process prints as JSON, and which heavy packages it has imported by then."""
    ends = f"\nimport sys; print(json.dumps([n for n in {HEAVY} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", "import json\n" + code + ends, *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *_, printed, heavy = done.stdout.splitlines()
    return json.loads(printed), json.loads(heavy)


@pytest.mark.slow
def test_a_mistake_in_a_setting_is_refused_without_torch() -> None:
    code = """
import sys
from observatory.core.errors import ConfigError
from observatory.launch.compose import compose
taken = []
for overrides in sys.argv[1:]:
    try:
        compose("train", overrides.split())
        taken.append(overrides)
    except ConfigError:
        pass
print(json.dumps(taken))
"""
    taken, heavy = imported(code, *MISTAKES)
    assert taken == []
    assert heavy == []


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("+model.n_head=2", "`n_head` is no setting of Transformer, which has ['n_heads'"),
        ("+model.n_head=2", "Did you mean n_heads?"),
        ("+fleet.slots=8", "`fleet.slots` is no setting of `fleet`, which has"),
        ("+retirement.tail=1", "no setting of `retirement`, which has ['tail_steps'"),
        ("model.d_model=wide", "`d_model` must be a whole number of at least 1, got 'wide'"),
        ("model.positions=round", "`positions` must be one of"),
    ],
)
def test_the_message_names_what_was_meant(override: str, said: str) -> None:
    from observatory.core.errors import ConfigError
    from observatory.launch.compose import compose

    with pytest.raises(ConfigError) as refusal:
        compose("train", [override])
    assert said in str(refusal.value)


def test_status_imports_nothing_that_trains(tmp_path: Path) -> None:
    code = """
from observatory.launch.status import study_status
from observatory.core.errors import StoreError
import sys
from pathlib import Path
try: study_status(Path(sys.argv[1]))
except StoreError as error: print(json.dumps(str(error)))
"""
    said, heavy = imported(code, str(tmp_path))
    assert "is no study" in str(said)
    assert heavy == []

"""What a plan says follows from the settings or from real steps, and it says which."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from observatory.launch.compose import compose, compose_runs
from observatory.launch.layout import resolved
from observatory.plan import plan as planning
from observatory.plan.measure import Costs, flops_per_step, measure
from observatory.plan.plan import plan
from observatory.plan.text import text
from observatory.training.build import Parts, build

TINY = [
    "task.p=11", "model.d_model=16", "model.d_mlp=16", "horizon_steps=100", "evaluation.every=20",
    "+sweep.nuisance.seed=[0,1,2,3,4]", "fleet.shards=1", "fleet.size=2", "fleet.device=cpu",
    "probe=[attention,massive_state]", "study=tiny",
]  # fmt: skip
BLOCK = 4 * (16 * 16 + 16) + 2 * 16 * 16 + 16 + 16  # attention and MLP with their biases
N_PARAMS = 12 * 16 + 3 * 16 + BLOCK + 3 * 2 * 16 + 16 * 11  # and three layer norms


def parts_of(*overrides: str) -> Parts:
    return build(resolved(compose("map", [*TINY, *overrides])))


def planned(*overrides: str) -> dict[str, Any]:
    return plan(compose_runs("map", [*TINY, *overrides]))


def measured(parts: Parts, free_bytes: int, limit_s: float) -> Costs | None:
    return measure(parts, 1, flops_per_step(parts), 4 * 4 * N_PARAMS, free_bytes, limit_s)


@pytest.mark.slow
def test_what_follows_from_the_settings_is_exact() -> None:
    told = planned("batch_size=50")
    (run,) = told["runs"]
    assert (told["study"], told["n_runs"], run["model"]) == ("tiny", 1, "Transformer")
    assert run["n_params"] == N_PARAMS
    # 72 of 121 pairs are train: two batches of 50 an epoch; five replicas take two slots thrice.
    assert (run["steps_per_epoch"], run["horizon_epochs"], run["rounds"]) == (2, 50.0, 3)
    assert run["replica_steps_at_most"] == told["replica_steps_at_most"] == 500
    assert run["flops_at_most"] == 500 * run["flops_per_replica_step"]
    memory = run["memory_of_a_shard"]
    assert memory["parameters_bytes"] == memory["gradient_bytes"] == 2 * N_PARAMS * 4
    # AdamW: two moments, and one step count.
    assert memory["optimizer_state_bytes"] == 2 * (2 * N_PARAMS * 4 + 8)
    assert memory["evaluation_logits_bytes"] == 2 * 121 * 11 * (4 + 4)
    job = planned("batch_size=50", "launcher=slurm", "launcher.mem_gb=2", "fleet.device=cpu")
    (job_run,) = job["runs"]
    per_slot = job_run["memory_of_a_shard"]["peak_bytes"] / 2
    assert job_run["slots_that_fit"] == pytest.approx(0.7 * 1.4e9 / per_slot, abs=1)
    assert run["slots_that_fit"] > 2
    assert run["looks"] == {"evaluate": 6, "probe:attention": 11, "probe:forward": 11}
    assert list(run["absent_probes"]) == ["massive_state"]
    assert run["measured"]["slots"] == 2
    assert run["measured"]["examples"] == 50


@pytest.mark.slow
def test_the_time_is_steps_and_looks_at_their_cadence() -> None:
    (run,) = planned()["runs"]
    each, times = run["look_s"], run["time_of_a_shard_s"]
    assert times["train"] == 3 * 100 * run["step_s"] > 0
    assert times["evaluate"] == 3 * 6 * each["evaluate"] > 0
    assert times["probe:attention"] == 3 * 11 * each["probe:attention"] > 0
    assert run["estimated_wall_s"] == sum(times.values())


@pytest.mark.slow
@pytest.mark.parametrize("model", ["transformer", "mlp", "lstm", "mamba", "li2"])
def test_operations_are_those_of_the_plain_module_on_a_whole_batch(model: str) -> None:
    parts = build(resolved(compose("map", [f"model={model}", "task.p=11", "batch_size=37"])))
    inputs, labels = parts.dataset.inputs[:37], parts.dataset.draw(0).labels[:37]
    with FlopCounterMode(display=False) as counter:
        parts.loss.each(parts.network(inputs)[None], labels[None], None).mean().backward()
    assert flops_per_step(parts) == counter.get_total_flops() > 0


@pytest.mark.slow
@pytest.mark.parametrize("path", ["fast", "generic"])
def test_saved_activations_scale_as_said(path: str) -> None:
    """One slot and some examples, scaled, against the stack itself."""
    parts = parts_of(f"fleet.path={path}")
    whole, trial = measured(parts, 10**9, 20.0), measured(parts, 10**9, 0.0)
    assert whole is not None
    assert trial is not None
    assert (whole.slots, trial.slots) == (2, 1)
    # What does not grow with slots or examples, such as a causal mask, is scaled all the same.
    assert abs(trial.saved_bytes / whole.saved_bytes - 1) < 0.05
    assert whole.saved_bytes > 2 * 72 * (11 + 16) * 4  # the softmax and what the readout reads


@pytest.mark.slow
def test_what_does_not_fit_is_not_measured_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured(parts_of(), 8 * 4 * N_PARAMS - 1, 20.0) is None
    monkeypatch.setattr(planning, "available_bytes", lambda device: 1000)
    told = planned()
    (run,) = told["runs"]
    assert told["estimated_wall_s"] is run["measured"] is run["time_of_a_shard_s"] is None
    assert run["memory_of_a_shard"]["saved_activations_bytes"] is None
    printed = text(told)
    assert "warning      one slot does not fit into the available memory" in printed
    assert "needs more memory than is available: fleet.size=1 fleet.shards=1." in printed


@pytest.mark.slow
def test_a_plan_of_several_runs_sums_them_up() -> None:
    told = planned("model.d_mlp=16,32")
    narrow, wide = told["runs"]
    assert (narrow["overrides"], wide["overrides"]) == ("model.d_mlp=16", "model.d_mlp=32")
    assert wide["n_params"] - narrow["n_params"] == 2 * 16 * 16 + 16
    assert told["n_replicas"] == 10
    for name in ("replica_steps_at_most", "flops_at_most", "estimated_wall_s"):
        assert told[name] == narrow[name] + wide[name] > 0
    assert told["memory_peak_bytes"] == wide["memory_peak_bytes"]
    printed = text(told)
    assert "model.d_mlp=32" in printed
    assert "no look      massive_state: Transformer has no cell or ssm_state" in printed


@pytest.mark.slow
def test_planning_leaves_the_threads_alone_and_fits_a_terminal() -> None:
    before = torch.get_num_threads()
    printed = text(planned("fleet.threads=1"))
    assert torch.get_num_threads() == before
    assert max(len(line) for line in printed.splitlines()) <= 100

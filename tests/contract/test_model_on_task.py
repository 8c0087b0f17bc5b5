"""Every model on every task: two steps with finite losses, or a refusal that says why."""

from functools import cache
from pathlib import Path

import pytest
import torch

import observatory
from observatory.core.errors import ConfigError
from observatory.launch.layout import resolved
from observatory.training.build import build
from tests.composed import block, composed

CONF = Path(observatory.__file__).parents[1] / "conf"
MODELS = {  # one of every class, and the transformer's variants
    **{name: [] for name in ("transformer", "nanda", "mlp", "mlp_prieto", "lstm", "mamba", "li2")},
    **{name: [] for name in ("kan", "eugen", "hyperzzw")},
    "rotary": ["model=transformer", "model.positions=rotary"],
    "gated": ["model=transformer", "model.gated=true"],
    "orderless": ["model=transformer", "model.positions=none"],
    "li2_relu": ["model=li2", "model.activation=relu"],
}
TASKS = sorted(path.stem for path in (CONF / "task").glob("*.yaml"))
SMALL = {"d_model": 8, "d_mlp": 12, "d_hidden": 12, "n_heads": 2, "n_layers": 1, "d_state": 2}
ORDERED = frozenset(
    {
        *("sub", "div", "div_sub", "quadratic_x", "cubic_xy", "cubic_xyy_y"),
        *("s3", "s4", "s5", "a5", "dihedral", "s5_conjugation", "s5_xyx", "cayley"),
    }
)
REFUSED = {  # what must be refused, and by which words
    **{("orderless", task): "must see the order" for task in ORDERED},
    ("li2", "sum3"): "pairs of operands",
    ("li2", "sparse_parity"): "pairs of operands",
}


@cache
def node(kind: str, *overrides: str) -> dict:
    """The part `kind` of the configuration, composed."""
    return block(kind, *overrides)


@cache
def rest() -> dict:
    """All else: one replica, small batches, few examples looked at."""
    small = ["batch_size=16", "fleet.size=1", "fleet.shards=1", "evaluation.subset=16", "probe=[]"]
    return resolved(composed("train", *small))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("model", MODELS)
def test_it_takes_two_steps_or_is_refused(model: str, task: str) -> None:
    network = node("model", *(MODELS[model] or [f"model={model}"]))
    network = {k: SMALL.get(k, v) if v is not None else None for k, v in network.items()}
    examples = node("task", f"task={task}")
    examples = {**examples, "p": 7} if "p" in examples else examples
    config = {**rest(), "model": network, "task": examples}
    if (model, task) in REFUSED:
        with pytest.raises(ConfigError, match=REFUSED[model, task]):
            build(config)
        return
    fleet = build(config).shard(0, 1)
    fleet.fill()
    fleet.advance(2)
    measured = fleet.evaluate([0], full=False)
    assert all(torch.isfinite(value).all() for value in measured.values())
    assert fleet.diverged_steps() == [None]

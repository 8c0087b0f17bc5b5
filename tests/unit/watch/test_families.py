"""Patterns of networks of many families, equal to those of their authors' eager code.

1e-6 is float32: the eager code multiplies in another order.
"""

import pytest
import torch
from torch import Tensor

import observatory as ob
from observatory.watch.snapshot import Snapshot
from tests.unit.watch.families import FAMILIES, eager_patterns, made


def closest(pattern: Tensor, references: list[Tensor], valid: Tensor) -> float:
    """Largest difference on valid rows to the reference that is nearest."""
    differences = [
        float((pattern - each).abs()[valid[:, None].expand(each.shape[:3])].max())
        for each in references
        if each.shape == pattern.shape
    ]
    return min(differences)


def checked(name: str) -> tuple[Snapshot, float]:
    """One look, and its largest difference to eager; every reference is met once."""
    model, batch = made(name)
    snap = ob.probe(model, batch, probes=["attention", "attention_heads", "massive_activations"])
    references, worst = eager_patterns(model, batch), 0.0
    assert len(snap.patterns) == len(references)
    for pattern in snap.patterns.values():
        mask = batch.get("attention_mask")
        fits = mask is not None and mask.shape[1] == pattern.shape[2]
        valid = mask == 1 if fits and mask is not None else torch.ones(2, pattern.shape[2]) == 1
        worst = max(worst, closest(pattern, references, valid))
    return snap, worst


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_patterns_are_those_of_eager(name: str) -> None:
    snap, worst = checked(name)
    assert len(snap.found) == FAMILIES[name][2]
    assert worst < 1e-6
    sharpest = max(float(p[:, :, -1].max()) * p.shape[-1] for p in snap.patterns.values())
    assert sharpest > 1.3, "the patterns are flat"
    assert not snap.without_attention


def test_sites_of_a_llama_are_its_modules() -> None:
    model, batch = made("Llama")
    seen: dict[str, Tensor] = {}

    def note(name: str) -> None:
        module = dict(model.named_modules())[name]
        handle = module.register_forward_hook(lambda _m, _a, out: seen.update({name: out}))
        handles.append(handle)

    handles: list[torch.utils.hooks.RemovableHandle] = []
    block = "model.layers.1"
    expected = {
        "massive_attn_out": f"{block}.self_attn.o_proj",
        "massive_mlp_out": f"{block}.mlp.down_proj",
        "massive_gate": f"{block}.mlp.gate_proj",
        "massive_activations": block,
    }
    snap = ob.probe(model, batch)
    for name in expected.values():
        note(name)
    with torch.no_grad():
        model.eval()(**batch)
    for table, name in expected.items():
        out = seen[name] if isinstance(seen[name], Tensor) else seen[name][0]
        top = snap.tables[table].values["top1"]
        assert float(top.values[0, 1]) == pytest.approx(float(out.abs().max()), rel=1e-6)  # pyright: ignore
    assert snap.layers["massive_mlp_out"] == tuple(f"model.layers.{i}" for i in range(3))


def test_heads_of_one_group_share_their_keys() -> None:
    snap, _ = checked("Llama")
    heads = snap.frame().query("table == 'attention_heads' and layer == 0")
    values = heads.set_index("quantity")["value"]
    assert values["key_heads"] == 2
    assert {"s_bar_within", "s_bar_between"} <= set(values.index)


def test_what_a_sink_outside_the_keys_takes_is_counted() -> None:
    snap, _ = checked("gpt-oss")
    frame = snap.frame().query("quantity == 'outside_mass'")
    lacking = torch.cat([1 - p.sum(dim=-1).mean(dim=(0, 2)) for p in snap.patterns.values()])
    assert frame["value"].to_list() == pytest.approx(lacking.tolist(), abs=1e-6)
    assert float(lacking.min()) > 1e-3


@pytest.mark.slow
def test_padding_counts_nowhere() -> None:
    """Other tokens under the mask change no number of a look."""
    model, batch = made("BERT, padded")
    first = ob.probe(model, batch).frame()
    batch["input_ids"][1, 6:] = 77
    second = ob.probe(model, batch).frame()
    assert second["value"].to_list() == pytest.approx(first["value"].to_list(), rel=1e-5, abs=1e-7)

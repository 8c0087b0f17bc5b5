"""Where the sites of a block are, from the order of its products, attention and nonlinearities."""

from collections.abc import Sequence

from torch import nn

from observatory.watch.reading.anatomy import (
    Anatomy,
    Block,
    Place,
    Site,
    Stack,
    chains,
    last_product,
    leaves,
    same_tensor,
    stack_names,
    weights_of,
)
from observatory.watch.reading.events import Event, Key
from observatory.watch.reading.orientation import positions_first


def anatomy_of(model: nn.Module, trace: Sequence[Event]) -> Anatomy:
    """The parts of `model` from the events of one pass; its tensors must still be there."""
    runs = chains(model, trace)
    stacks = list(zip(stack_names(runs), runs, strict=True))
    attention, layers, without = _attention(trace, stacks)
    weights, reads = weights_of(model, trace)
    lone = [] if runs else leaves(model, trace)
    sites: dict[Place, tuple[str, Site, int]] = {
        Place(trace[block.stop].key, given=False): ("", "resid_post", index)
        for index, block in enumerate(lone)
    }
    for name, run in stacks:
        for index, block in enumerate(run):
            for site, place in block_sites(trace, block).items():
                sites[place] = (name, site, index)
        sites[Place(trace[run[0].start].key, given=True)] = (name, "embedding", 0)
    last = last_product(trace)
    if last is not None and not any(_inside(trace, last, run) for run in runs):
        sites[Place(last.key, given=True)] = ("", "final", 0)
    named = [*stacks, *([("", lone)] if lone else [])]
    places = {*sites, *(place for places, _ in reads.values() for place in places)}
    return Anatomy(
        stacks=tuple(Stack(name, tuple(map(_label, run))) for name, run in named),
        attention=attention,
        attention_layers={kind: tuple(paths) for kind, paths in layers.items()},
        sites=sites,
        weights=weights,
        reads=reads,
        without_attention=tuple(without),
        positions_first=positions_first(model, trace, places),
    )


def _attention(
    trace: Sequence[Event], stacks: Sequence[tuple[str, list[Block]]]
) -> tuple[dict[Key, tuple[str, int]], dict[str, list[str]], list[str]]:
    """Stack and layer of every attention, the layers of each stack, and blocks that have none."""
    attention: dict[Key, tuple[str, int]] = {}
    layers: dict[str, list[str]] = {}
    without: list[str] = []
    for name, run in stacks:
        bare: list[str] = []
        for block in run:
            inside = trace[block.start : block.stop]
            found = [e for e in inside if e.key.kind == "attention"]
            for number, event in enumerate(found):
                kind = _kind(name, number)
                attention[event.key] = (kind, len(layers.setdefault(kind, [])))
                layers[kind].append(_label(block))
            if not found:
                bare.append(_label(block))
        without += bare if len(bare) < len(run) else []
    outside = "other" if attention else ""
    for event in trace:
        if event.key.kind == "attention" and event.key not in attention:
            attention[event.key] = (outside, len(layers.setdefault(outside, [])))
            layers[outside].append(event.key.call.path or "the model")
    return attention, layers, without


def _label(block: Block) -> str:
    return block.call.path + (f"#{block.call.number}" if block.call.number else "")


def _inside(trace: Sequence[Event], event: Event, run: list[Block]) -> bool:
    at = next(i for i, each in enumerate(trace) if each is event)
    return any(block.start < at < block.stop for block in run)


def _kind(name: str, number: int) -> str:
    """The stack of an attention: a second one in a block looks at another sequence."""
    return f"{name}_cross".lstrip("_") if number else name


def block_sites(trace: Sequence[Event], block: Block) -> dict[Site, Place]:
    """The places of the sites of one block."""
    events = trace[block.start + 1 : block.stop]
    attentions = [i for i, e in enumerate(events) if e.key.kind == "attention"]
    reads = [i for i, e in enumerate(events) if e.key.kind == "read" and not e.reads[0].table]
    found: dict[Site, Place] = {"resid_post": Place(trace[block.stop].key, given=False)}
    outputs: tuple[Site, ...] = ("attn_out", "cross_attn_out")
    for site, at in zip(outputs, attentions, strict=False):
        if (read := next((i for i in reads if i > at), None)) is not None:
            found[site] = Place(events[read].key, given=False)
    after = attentions[-1] + 2 if attentions else 0
    rest = [i for i in reads if i >= after and events[i].how != "mha"]
    if attentions and rest and Place(events[rest[0]].key, given=False) in found.values():
        rest = rest[1:]
    if not rest:
        return found
    last = rest[-1]
    found["mlp_post"] = Place(events[last].key, given=True)
    found["mlp_out"] = _output_place(events, last, trace[block.stop])
    bent = [i for i, e in enumerate(events) if e.key.kind == "nonlinearity" and rest[0] <= i < last]
    if bent:
        before = [i for i in rest if i < bent[-1]]
        same = [i for i in before if same_tensor(events[i].output, events[bent[-1]].given)]
        chosen = (same or before)[-1:]
        if chosen:
            found["gate"] = Place(events[chosen[0]].key, given=False)
    return found


def _output_place(events: Sequence[Event], last: int, block: Event) -> Place:
    """The output of the last product, or of the module around it where that routes tokens."""
    output, whole = events[last].output, block.output
    if output is None or whole is None or output.numel() == whole.numel():
        return Place(events[last].key, given=False)
    around = (e for e in events[last + 1 :] if e.key.kind == "leave")
    for event in around:
        if event.output is not None and event.output.numel() == whole.numel():
            return Place(event.key, given=False)
    return Place(events[last].key, given=False)

"""The parts of a network from one traced pass: blocks, sites, what each matrix reads.

No name is looked at. A chain of blocks is a run of calls where what one returns is what the next
is given, in one shape.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from observatory.core.layout import Role, Weight
from observatory.watch.reading.calls import Call
from observatory.watch.reading.events import Event, Key

Site = Literal[
    "embedding", "resid_post", "attn_out", "cross_attn_out", "mlp_out", "mlp_post", "gate", "final"
]
SITES: tuple[Site, ...] = (
    "embedding",
    "resid_post",
    "attn_out",
    "cross_attn_out",
    "mlp_out",
    "mlp_post",
    "gate",
    "final",
)


class Place(NamedTuple):
    """Where a tensor of a pass is: at an event, as what was given or what came out."""

    key: Key
    given: bool


@dataclass(frozen=True)
class Block:
    """One call of one module of a chain: the events from `start` to `stop` of the trace."""

    call: Call
    start: int
    stop: int


@dataclass(frozen=True)
class Stack:
    """A chain of blocks, or what stands in for one.

    Attributes:
        name: "" of the only one, else of the part of the path that tells it from the others.
        layers: Path of each block, with the number of its call where one module is called often.
    """

    name: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Anatomy:
    """What a pass of one model on one kind of batch consists of.

    Attributes:
        stacks: Chains of blocks.
        attention: Stack ("" or "x", "x_cross") and index of the layer of every attention.
        attention_layers: Path of each layer of every stack of attentions.
        sites: What to look at: stack, site, layer, by place.
        weights: Role of every parameter, and the name of the place that it reads from.
        reads: Places of what every matrix multiplies (one for each step of a recurrence, and for
            each call of a shared layer), and its orientation (True: rows are outputs).
        without_attention: Layers of chains that hold none, where others do.
        positions_first: Places of `sites` and `reads` where tensors are `[pos, batch, ...]`.
    """

    stacks: tuple[Stack, ...]
    attention: Mapping[Key, tuple[str, int]]
    attention_layers: Mapping[str, tuple[str, ...]]
    sites: Mapping[Place, tuple[str, Site, int]]
    weights: Mapping[str, Weight]
    reads: Mapping[str, tuple[tuple[Place, ...], bool]]
    without_attention: tuple[str, ...] = field(default=())
    positions_first: frozenset[Place] = field(default=frozenset())

    def labels(self, stack: str, site: Site) -> tuple[str, ...]:
        """Path of every layer that a site of a stack has an entry for, with or without a value."""
        paths = next((each.layers for each in self.stacks if each.name == stack), ())
        if site in ("embedding", "final"):
            owners = (
                place.key.call.path for place, at in self.sites.items() if at[:2] == (stack, site)
            )
            return tuple(owners)
        return paths


def same_tensor(left: Tensor | None, right: Tensor | None) -> bool:
    """Whether two tensors are one, or hold equal values in one shape."""
    if left is None or right is None or left.shape != right.shape:
        return False
    return left.data_ptr() == right.data_ptr() or torch.equal(left, right)


def calls_of(trace: Sequence[Event]) -> dict[Call, tuple[int, int]]:
    """First and last event of every call that returned."""
    opened = {e.key.call: i for i, e in enumerate(trace) if e.key.kind == "enter"}
    return {
        e.key.call: (opened[e.key.call], i)
        for i, e in enumerate(trace)
        if e.key.kind == "leave" and e.key.call in opened
    }


def _families(model: nn.Module) -> Iterable[list[str]]:
    """Paths of children that may form a chain: of one class, or one list."""
    for path, parent in model.named_modules():
        prefix = f"{path}." if path else ""
        children = {f"{prefix}{name}": child for name, child in parent.named_children()}
        if isinstance(parent, nn.ModuleList | nn.Sequential) and children:
            yield list(children)
        else:
            by_class: dict[type, list[str]] = {}
            for name, child in children.items():
                by_class.setdefault(type(child), []).append(name)
            yield from by_class.values()


def chains(model: nn.Module, trace: Sequence[Event]) -> list[list[Block]]:
    """Every chain of blocks, that with the most parameters first; none lies within another."""
    spans, modules = calls_of(trace), dict(model.named_modules())
    by_path: dict[str, list[Call]] = {}
    for call in spans:
        by_path.setdefault(call.path, []).append(call)
    found: list[list[Block]] = []
    for family in _families(model):
        calls = sorted(
            (c for path in family for c in by_path.get(path, [])), key=lambda c: spans[c]
        )
        listed = isinstance(modules[family[0].rpartition(".")[0]], nn.ModuleList)
        found.extend(_runs([Block(c, *spans[c]) for c in calls], trace, listed=listed))
    sizes = {id(run): _n_parameters(modules, run) for run in found}
    kept: list[list[Block]] = []
    for run in sorted(found, key=lambda run: -sizes[id(run)]):
        if sizes[id(run)] and not any(_within(run[0], other) for other in kept):
            kept.append(run)
    return sorted(kept, key=lambda run: run[0].start)


def _runs(blocks: list[Block], trace: Sequence[Event], *, listed: bool) -> list[list[Block]]:
    """Longest runs where each feeds the next in one shape; a list of one block is a chain too."""

    def keeps_shape(block: Block) -> bool:
        given, output = trace[block.start].given, trace[block.stop].output
        return given is not None and output is not None and given.shape == output.shape

    runs: list[list[Block]] = [[block] for block in blocks[:1]]
    for before, after in pairwise(blocks):
        fed = same_tensor(trace[before.stop].output, trace[after.start].given)
        if fed and before.stop < after.start:
            runs[-1].append(after)
        else:
            runs.append([after])

    def works(block: Block) -> bool:
        return any(e.key.kind == "read" for e in trace[block.start : block.stop])

    runs = [[block for block in run if keeps_shape(block)] for run in runs]
    runs = [run for run in runs if all(map(works, run))]
    return [run for run in runs if len(run) > 1 or (run and listed and len(blocks) == 1)]


def leaves(model: nn.Module, trace: Sequence[Event]) -> list[Block]:
    """Calls of modules without children that read a parameter: layers where no chain is found."""
    inner = {path for path, each in model.named_modules() if not list(each.children())}
    return [
        Block(call, start, stop)
        for call, (start, stop) in sorted(calls_of(trace).items(), key=lambda item: item[1])
        if call.path in inner
        and any(e.key.kind == "read" for e in trace[start:stop])
        and trace[stop].output is not None
    ]


def _n_parameters(modules: Mapping[str, nn.Module], run: list[Block]) -> int:
    paths = {block.call.path for block in run}
    return sum(p.numel() for path in paths for p in modules[path].parameters())


def _within(block: Block, run: list[Block]) -> bool:
    return any(other.start <= block.start and block.stop <= other.stop for other in run)


def stack_names(runs: Sequence[list[Block]]) -> list[str]:
    """A short name of each chain: none of the only one, else the part of its path that differs."""
    if len(runs) <= 1:
        return [""] * len(runs)
    parts = [run[0].call.path.split(".") for run in runs]
    for place in range(max(map(len, parts))):
        names = [part[place] if place < len(part) else "" for part in parts]
        if len(set(names)) == len(names) and all(names):
            return [name if not name.isdigit() else f"stage{name}" for name in names]
    return [f"stack{index}" for index in range(len(runs))]


def last_product(trace: Sequence[Event]) -> Event | None:
    """The last product with a parameter: that of the readout, where there is one."""
    return next((e for e in reversed(trace) if e.key.kind == "read" and not e.reads[0].table), None)


def weights_of(
    model: nn.Module, trace: Sequence[Event]
) -> tuple[dict[str, Weight], dict[str, tuple[tuple[Place, ...], bool]]]:
    """Role of every parameter, and the places that each matrix reads from."""
    products = [e for e in trace if e.key.kind == "read" and e.reads]
    roles: dict[str, Role] = {name: "pointwise" for name, _ in model.named_parameters()}
    reads: dict[str, tuple[tuple[Place, ...], bool]] = {}
    last = last_product(trace)
    for event in products:
        for read in event.reads:
            if read.name not in roles:
                continue
            if read.table:
                roles[read.name] = "embedding" if read.name not in reads else roles[read.name]
                continue
            roles[read.name] = "readout" if event is last else "hidden"
            if read.filters:
                roles[read.name] = "pointwise" if read.depthwise else "hidden"
                continue
            before, _ = reads.get(read.name, ((), False))
            reads[read.name] = ((*before, Place(event.key, given=True)), read.transposed)
    weights = {name: Weight(role, name if name in reads else None) for name, role in roles.items()}
    return weights, reads

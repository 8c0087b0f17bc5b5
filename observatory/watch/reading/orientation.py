"""Which tensors of a pass have positions before sequences, `[pos, batch, ...]`."""

from collections.abc import Collection, Iterator, Sequence

from torch import nn

from observatory.core.errors import ConfigError
from observatory.watch.reading.anatomy import Place
from observatory.watch.reading.events import Event


def positions_first(
    model: nn.Module, trace: Sequence[Event], places: Collection[Place]
) -> frozenset[Place]:
    """Those of some places where positions come before sequences.

    torch's multi-head attention is called so, whatever its module is given. Of other tensors the
    first two axes are compared with the numbers of sequences and positions that attentions have,
    and that modules with an attribute `batch_first` are given.

    Args:
        model: The network.
        trace: Events of one pass; their tensors and patterns must still be there.
        places: Which to judge.

    Raises:
        ConfigError: If a module takes positions first, and is given as many sequences.
    """
    sizes = set(_sizes(model, trace))
    found: set[Place] = set()
    for event in trace:
        for given, tensor in ((True, event.given), (False, event.output)):
            place = Place(event.key, given)
            if place not in places or tensor is None or tensor.ndim < 3:
                continue
            first, second = tensor.shape[:2]
            turned = (second, first) in sizes and (first, second) not in sizes
            if turned or (event.how == "mha" and event.key.kind == "read"):
                found.add(place)
    return frozenset(found)


def _sizes(model: nn.Module, trace: Sequence[Event]) -> Iterator[tuple[int, int]]:
    """Numbers of sequences and of positions, as attentions and modules show them."""
    modules = dict(model.named_modules())
    for event in trace:
        if event.pattern is not None:
            yield event.pattern.values.shape[0], event.pattern.values.shape[2]
        if event.key.kind != "enter" or event.given is None or event.given.ndim != 3:
            continue
        path = event.key.call.path
        batch_first = getattr(modules.get(path), "batch_first", None)
        if batch_first is None:
            continue
        first, second = event.given.shape[:2]
        if not batch_first and first == second:
            raise ConfigError(
                f"`batch` must not have as many sequences as positions, got {first} of each, where "
                f"positions come first (`batch_first=False` of `{path or 'the model'}`): which "
                "axis is which cannot be told. Give another number of sequences."
            )
        yield (first, second) if batch_first else (second, first)

"""Where what a product reads came from: the activations of a feed-forward layer, gated or not.

Known from the torch calls alone: a nonlinearity of the output of a product, times itself (a
nonlinearity that is written out) or times the output of another product (a gate).
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from observatory.watch.reading.functions import NONLINEARITIES

_NONLINEAR = NONLINEARITIES | {"square"}
_KEEPING = frozenset(
    {
        *("dropout", "to", "float", "half", "bfloat16", "type", "type_as", "contiguous", "clone"),
        *("reshape", "view", "flatten", "unflatten", "transpose", "permute", "squeeze", "clamp"),
        *("unsqueeze", "div", "__truediv__", "pow", "__pow__", "neg", "__getitem__", "clamp_"),
    }
)
_TIMES = frozenset({"mul", "__mul__", "__rmul__", "multiply", "mul_", "__imul__"})
_PLUS = frozenset({"add", "__add__", "__radd__", "sub", "__sub__", "add_", "__iadd__", "__rsub__"})
_REMEMBERED = 48
"""Tensors that are kept to be recognised: a layer makes fewer between two products."""


@dataclass(frozen=True)
class Origin:
    """What a tensor was made of.

    Attributes:
        sources: Products, and where in their output it begins.
        activated: Whether a nonlinearity was applied.
        gate: Of a gated layer, the activations of its gate.
        up: And what they were multiplied with.
    """

    sources: frozenset[tuple[int, int]]
    activated: bool = False
    gate: Tensor | None = None
    up: Tensor | None = None


@final
class Origins:
    """Follows the outputs of products through the calls of a pass."""

    def __init__(self) -> None:
        self._known: deque[tuple[Tensor, Origin]] = deque(maxlen=_REMEMBERED)
        self._n_products = 0

    def of(self, tensor: Tensor) -> Origin | None:
        """The origin of a tensor that is known, or of a part of one."""
        place = _storage(tensor)
        for known, origin in reversed(self._known):
            if known is tensor:
                return origin
            if place is not None and _storage(known) == place:
                return self._part(known, origin, tensor)
        return None

    @staticmethod
    def _part(known: Tensor, origin: Origin, tensor: Tensor) -> Origin | None:
        begin = int(tensor.storage_offset()) - int(known.storage_offset())
        if known.numel() == tensor.numel() and begin == 0:
            return origin
        if len(origin.sources) > 1:
            return None
        ((product, offset),) = origin.sources
        return Origin(frozenset({(product, offset + begin)}), origin.activated)

    def product(self, output: Tensor) -> None:
        """Note the output of a product."""
        self._known.append((output, Origin(frozenset({(self._n_products, 0)}))))
        self._n_products += 1

    def follow(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], output: Any
    ) -> None:
        """Note what another call made of what is known."""
        if not self._known or not isinstance(output, Tensor):
            return
        name = getattr(func, "__name__", "")
        operands = [each for each in (*args, *kwargs.values()) if isinstance(each, Tensor)]
        found = None
        if name in _NONLINEAR and operands and (origin := self.of(operands[0])) is not None:
            found = Origin(origin.sources, activated=True)
        elif name in _KEEPING and operands:
            found = self.of(output) or self.of(operands[0])  # a view knows where it begins
        elif name in _TIMES | _PLUS:
            found = self._combined(operands, times=name in _TIMES)
        if found is not None:
            self._known.append((output, found))
        elif name in _TIMES | _PLUS and any(output is known for known, _ in self._known):
            self._known = deque(
                [entry for entry in self._known if entry[0] is not output], _REMEMBERED
            )

    def _combined(self, operands: Sequence[Tensor], *, times: bool) -> Origin | None:
        """The origin of a product or a sum of entries."""
        whole = [each for each in operands if each.ndim > 1]
        if len(whole) == 1:
            return self.of(whole[0])
        if len(whole) != 2:
            return None
        first, second = (self.of(each) for each in whole)
        if first is None or second is None:
            return None
        if first.sources == second.sources:
            return Origin(first.sources, first.activated or second.activated)
        if not times or first.activated == second.activated:
            return None
        gate, up = whole if first.activated else whole[::-1]
        return Origin(first.sources | second.sources, True, gate, up)


def _storage(tensor: Tensor) -> int | None:
    """The address of its memory; None where it has none of its own."""
    return tensor.untyped_storage().data_ptr() if tensor.numel() else None

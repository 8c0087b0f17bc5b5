"""Every product of a pass that reads a parameter, each of which may be run with other operands."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from observatory.watch.low_precision.operands import Operands, Part, operands_of
from observatory.watch.low_precision.origins import Origin, Origins


@dataclass(frozen=True)
class Site:
    """A place where a parameter is read: the same in every pass on such a batch.

    Attributes:
        name: Of the parameter.
        offset: Where in it the matrix begins, 0 but for experts that are read one by one.
        number: Of its reads in this pass, from 0.
    """

    name: str
    offset: int
    number: int


@dataclass(frozen=True)
class Product:
    """A product that is about to be run.

    Attributes:
        site: Its place.
        operands: What it multiplies.
        origin: What its input was made of, where that is a layer's activations.
    """

    site: Site
    operands: Operands
    origin: Origin | None

    @property
    def feed_forward(self) -> bool:
        """Whether it reads the activations of a feed-forward layer."""
        return self.origin is not None and self.origin.activated

    def gated(self) -> list[tuple[Tensor, Tensor]] | None:
        """Gate and what it was multiplied with, `[row, channel]` for each part; None without."""
        if self.origin is None or self.origin.gate is None or self.origin.up is None:
            return None
        x = self.operands.x
        if self.origin.gate.numel() != x.numel() or self.origin.up.numel() != x.numel():
            return None
        pair = (each.reshape(x.shape) for each in (self.origin.gate, self.origin.up))
        gates, ups = (self.operands.x_cut.apart(each) for each in pair)
        return list(zip(gates, ups, strict=True))

    def parts(self) -> list[Part]:
        """Rows and matrices; see `Operands`."""
        return self.operands.parts()

    def run(self, parts: list[Part] | None = None) -> Tensor:
        """The result; of these rows and matrices in place of its own."""
        return self.operands.run(parts)


Visitor = Callable[[Product], Tensor]
"""Runs a product, or something else in its place; the pass goes on with what it returns."""


@final
@dataclass
class _Visiting(TorchFunctionMode):
    names: Mapping[int, str]
    visit: Visitor
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    origins: Origins = field(default_factory=Origins)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        operands = operands_of(func, args, kwargs, lambda each: self._name(each) is not None)
        if operands is None:
            output = func(*args, **kwargs)
            self.origins.follow(func, args, kwargs, output)
            return output
        name = self._name(operands.w)
        assert name is not None
        offset = int(operands.w.storage_offset())
        site = Site(name, offset, self.counts[name, offset])
        self.counts[name, offset] += 1
        output = self.visit(Product(site, operands, self.origins.of(operands.x)))
        self.origins.product(output)
        return output

    def _name(self, tensor: Tensor) -> str | None:
        found = self.names.get(id(tensor))
        return self.names.get(id(tensor._base)) if found is None else found


@contextmanager
def visiting(params: Mapping[str, Tensor], visit: Visitor) -> Iterator[None]:
    """While open, products of this thread that read one of `params` are run by `visit`.

    Products are those of `linear`, `matmul` and its kin, `addmm`, `einsum` of two operands and
    grouped products of experts. A parameter is known by identity, also through views. Not seen:
    convolutions, lookups in tables, projections inside `nn.MultiheadAttention`, scripted code.

    Args:
        params: Parameters by name; of tied ones the first name is used.
        visit: Given every product; what it returns is the product's result.
    """
    names: dict[int, str] = {}
    for name, parameter in params.items():
        names.setdefault(id(parameter), name)
    with torch.compiler.set_stance("force_eager"), _Visiting(names, visit):
        yield

"""What happens in a forward pass: the events that a capture reports, and their places."""

from typing import Literal, NamedTuple

from torch import Tensor

from observatory.watch.reading.calls import Call
from observatory.watch.reading.patterns import Pattern

Kind = Literal["enter", "leave", "attention", "read", "nonlinearity"]


class Key(NamedTuple):
    """An event of a pass by its place: the same in every pass of a model on such a batch."""

    kind: Kind
    call: Call
    number: int


class Read(NamedTuple):
    """A parameter that a product read."""

    name: str
    transposed: bool  # whether its rows are outputs, as in `x @ W.T`
    table: bool = False  # whether rows were looked up in it
    filters: bool = False  # whether it is the filters of a convolution
    depthwise: bool = False  # whether each filter sees one channel


class Event(NamedTuple):
    """One thing that happened."""

    key: Key  # its place
    # what did it: "sdpa", "mha", "flex", "softmax", "rows", "adapter", or the torch function
    how: str
    given: Tensor | None = None  # what it read; None for an attention
    output: Tensor | None = None  # what came out; None on entering a module
    reads: tuple[Read, ...] = ()  # the parameters that a product read
    pattern: Pattern | None = None  # of an attention

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
    """A parameter that a product read.

    Attributes:
        name: Of the parameter.
        transposed: Whether its rows are outputs, as in `x @ W.T`.
        table: Whether rows were looked up in it.
        filters: Whether it is the filters of a convolution.
        depthwise: Whether each filter sees one channel.
    """

    name: str
    transposed: bool
    table: bool = False
    filters: bool = False
    depthwise: bool = False


class Event(NamedTuple):
    """One thing that happened.

    Attributes:
        key: Its place.
        how: Name of what did it: "sdpa", "mha", "flex", "softmax", "rows", "adapter", or the
            torch function.
        given: What it read; None for an attention.
        output: What came out; None on entering a module.
        reads: The parameters that a product read.
        pattern: Of an attention.
    """

    key: Key
    how: str
    given: Tensor | None = None
    output: Tensor | None = None
    reads: tuple[Read, ...] = ()
    pattern: Pattern | None = None

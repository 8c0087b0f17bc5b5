"""What a forward pass of any model does, in order, seen from the torch calls that it makes.

No class of a model is known. Attention is found by dot-product, multi-head and flex calls, by a
softmax that something is averaged with, and where a model does all by hand by rows that sum to 1.

Limits: a pass that runs in another thread, or in compiled code that makes no torch call (a scripted
module), is not seen; `AttentionNotFoundError` says so.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from observatory.watch.reading.adapters import Adapter, adapter_of
from observatory.watch.reading.calls import (
    Call,
    CallStack,
    Left,
    first_float,
    following_calls,
    tensor_arguments,
)
from observatory.watch.reading.events import Event, Key, Kind, Read
from observatory.watch.reading.functions import BENDS, CONTRACTIONS, READS, TABLES
from observatory.watch.reading.patterns import Pattern, of_dot_product, of_flex, of_multi_head
from observatory.watch.reading.sharding import is_sharded
from observatory.watch.reading.softmaxes import (
    FOLLOWED,
    MOVES,
    SCALES,
    Softmax,
    is_parameter,
    moved,
    operands,
    pattern_of,
    routes,
    rows_sum_to_one,
)

Listener = Callable[[Event], None]


_UNTAGGED: tuple[int, Softmax | None] = (-1, None)
_ATTENTIONS = ("flex_attention", "scaled_dot_product_attention", "multi_head_attention_forward")
_LOOKED_AT = CONTRACTIONS | READS | BENDS | {*_ATTENTIONS, "softmax"}
"""Functions that may be an event by themselves: most calls of a pass are of others."""


@final
@dataclass
class Capture(TorchFunctionMode):
    """Reports every event of the passes that run inside it to `listener`.

    Args:
        stack: Open calls, kept by `following_calls`.
        names: Names of the parameters by `id`.
        n_batch: Number of sequences.
        listener: Is given each event, at once; what it does not keep is freed.
        wanted: Whether patterns are wanted of an attention at this place: making one costs time.
        by_rows: Whether operands whose rows sum to 1 count as attention too.
    """

    stack: CallStack
    names: dict[int, str]
    n_batch: int
    listener: Listener
    wanted: Callable[[Key], bool]
    by_rows: bool
    counts: Counter[tuple[Kind, Call]] = field(default_factory=Counter)
    tags: "WeakIdKeyDictionary" = field(default_factory=WeakIdKeyDictionary)
    softmaxes: list[Softmax] = field(default_factory=list)
    contracted: set[int] = field(default_factory=set)
    adapted: list[str] = field(default_factory=list)
    silent: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def key(self, kind: Kind) -> Key:
        """The place of the next event of a kind in the innermost call."""
        call = self.stack.current
        number = self.counts[kind, call]
        self.counts[kind, call] += 1
        return Key(kind, call, number)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run the function as it is, and report what it was."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").partition(".")[0]
        looked_at = name in _LOOKED_AT or (self.softmaxes and name in FOLLOWED)
        if self.silent or not looked_at:
            return func(*args, **kwargs)
        if name == "flex_attention":
            self._attention("flex", lambda: of_flex(func, args, kwargs))
        output = func(*args, **kwargs)
        if name == "scaled_dot_product_attention":
            self._attention("sdpa", lambda: of_dot_product(args, kwargs), output)
        elif func is functional.multi_head_attention_forward:
            self._attention("mha", lambda: of_multi_head(func, args, kwargs), output[0])
            self._multi_head_reads(args, output[0])
        elif name == "softmax":
            self._softmax(args, kwargs, output)
        elif self.softmaxes and name in FOLLOWED:
            self._follow(func, name, args, kwargs, output)
        if name in CONTRACTIONS:
            self._contraction(name, args, kwargs)
        if name in READS:
            self._product(name, args, kwargs, output)
        elif name in BENDS and isinstance(output, Tensor):
            self.listener(Event(self.key("nonlinearity"), name, args[0], output))
        return output

    def adapt(self, adapter: Adapter, left: Left) -> None:
        """Report the attention that an adapter says a module was, in place of what was seen."""
        self.adapted.append(left.call.path)
        with self.unheard():
            self._attention("adapter", lambda: adapter.pattern(left.module, left.args, left.output))

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """What runs inside is not part of the pass."""
        before, self.silent = self.silent, True
        try:
            yield
        finally:
            self.silent = before

    def orphans(self) -> tuple[Softmax, ...]:
        """Softmaxes over two axes of one length that nothing was averaged with, as far as seen."""
        return tuple(
            softmax
            for index, softmax in enumerate(self.softmaxes)
            if index not in self.contracted
            and len(softmax.shape) >= 3
            and (len(softmax.shape) > 3 or softmax.shape[-1] == softmax.shape[-2])
            and not any(f"{softmax.call.path}.".startswith(f"{p}.") for p in self.adapted)
        )

    def _attention(
        self, how: str, make: Callable[[], Pattern], output: Tensor | None = None
    ) -> None:
        key = self.key("attention")
        pattern = make() if self.wanted(key) else None
        self.listener(Event(key, how, output=output, pattern=pattern))

    def _softmax(self, args: Any, kwargs: Any, output: Any) -> None:
        given = args[0] if args else kwargs["input"]
        tag = Softmax(self.stack.current, output.shape, given)
        self.tags[output] = (len(self.softmaxes), tag)
        self.softmaxes.append(Softmax(tag.call, tag.shape, None))

    def _follow(self, func: Any, name: str, args: Any, kwargs: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        for each in tensor_arguments(args, kwargs):
            if each not in self.tags:
                continue
            index, tag = self.tags[each]
            if name in MOVES and each is args[0]:
                self.tags[output] = (index, moved(func, args, kwargs, tag))
            elif name in SCALES and output.shape == each.shape:
                self.tags[output] = (index, tag)
            return

    def _contraction(self, name: str, args: Any, kwargs: Any) -> None:
        for operand in operands(name, args, kwargs):
            if is_parameter(operand.other) or is_parameter(operand.tensor):
                continue
            index, tag = self.tags.get(operand.tensor) or _UNTAGGED
            by_rows = tag is None and self.by_rows
            if tag is None and not (by_rows and rows_sum_to_one(operand.tensor, operand.order)):
                continue
            if tag is not None:
                self.contracted.add(index)
                if routes(tag, operand):
                    continue
            how = "rows" if tag is None else "softmax"
            self._attention(how, lambda o=operand, t=tag: pattern_of(o, t, self.n_batch))
            return

    def _multi_head_reads(self, args: Any, output: Tensor) -> None:
        query = args[0]
        found = [
            Read(self.names[id(each)], transposed=True)
            for each in args
            if isinstance(each, Tensor) and id(each) in self.names and each.ndim == 2
        ]
        if found:
            self.listener(Event(self.key("read"), "mha", query, output, tuple(found)))

    def _product(self, name: str, args: Any, kwargs: Any, output: Any) -> None:
        if name == "__getitem__" and not _looks_up(args):
            return
        tensors = tensor_arguments(args, kwargs)
        reads, given = [], None
        for each in tensors:
            found = self._parameter(each)
            if found is not None and each.ndim >= 2:
                owner, turned = found
                transposed = (name in ("linear", "conv1d", "conv2d")) != turned
                filters = name.startswith("conv")
                depthwise = filters and each.shape[1] == 1
                reads.append(Read(owner, transposed, name in TABLES, filters, depthwise))
            elif given is None and (name != "addmm" or each is not tensors[0]):
                given = each
        if reads and given is not None:
            self.listener(Event(self.key("read"), name, given, output, tuple(reads)))

    def _parameter(self, tensor: Tensor) -> tuple[str, bool] | None:
        """The name of a parameter, and whether it is seen through a transposed view."""
        if (name := self.names.get(id(tensor))) is not None:
            return name, False
        base = tensor._base
        if base is None or (name := self.names.get(id(base))) is None:
            return None
        if min(tensor.ndim, base.ndim) < 2:
            return name, False
        return name, tensor.stride()[-2:] == base.stride()[-2:][::-1]


def _looks_up(args: Any) -> bool:
    """Whether `table[index]` takes whole rows by a tensor of integers."""
    index = args[1] if len(args) > 1 else None
    return isinstance(index, Tensor) and not index.is_floating_point() and index.dtype != torch.bool


@contextmanager
def capturing(
    model: nn.Module,
    listener: Listener,
    *,
    n_batch: int,
    wanted: Callable[[Key], bool] = lambda key: True,
    heard: Callable[[Key], bool] = lambda key: True,
    by_rows: bool = False,
    adapters: Sequence[Adapter] = (),
) -> Iterator[Capture]:
    """While open, the events of `model` go to `listener`; nothing of the model is touched.

    Args:
        model: What is run meanwhile.
        listener: See `Capture`, as the others.
        n_batch: Number of sequences.
        wanted: Of which attentions the patterns are wanted.
        heard: Which calls of modules are reported: each costs time.
        by_rows: Whether operands whose rows sum to 1 count as attention too.
        adapters: What is known of some modules.
    """
    names: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), name)
    holder: list[Capture] = []

    sharded = is_sharded(model)

    def entered(call: Call, module: nn.Module, args: tuple[Any, ...]) -> None:
        if sharded:  # the parameters of a pass are others than those between passes
            prefix = f"{call.path}." if call.path else ""
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    names[id(parameter)] = f"{prefix}{name}"
        if heard(key := Key("enter", call, 0)):
            with holder[0].unheard():
                listener(Event(key, type(module).__name__, first_float(args)))

    def left(ended: Left) -> None:
        capture = holder[0]
        if adapters and (adapter := adapter_of(ended.module, adapters)) is not None:
            capture.adapt(adapter, ended)
        if heard(key := Key("leave", ended.call, 0)):
            with capture.unheard():
                name = type(ended.module).__name__
                listener(Event(key, name, None, first_float(ended.output)))

    with following_calls(model, entered, left) as stack:
        capture = Capture(stack, names, n_batch, listener, wanted, by_rows)
        holder.append(capture)
        with torch.compiler.set_stance("force_eager"), capture:
            yield capture

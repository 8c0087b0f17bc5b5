"""Which module of a model is running: the path of its caller, for every call that a pass makes."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final

from torch import Tensor, nn
from torch.nn.modules import module as torch_module


class Call(NamedTuple):
    """One call of one module; `number` counts the calls of that module in this pass from 0."""

    path: str
    number: int


class Left(NamedTuple):
    """A call that ended: its module, what it was given and what it returned."""

    call: Call
    module: nn.Module
    args: tuple[Any, ...]
    output: Any


def first_float(value: Any) -> Tensor | None:
    """The first floating tensor of what a module takes or returns: a tensor, a tuple or a dict.

    Example:
        >>> import torch
        >>> first_float((torch.arange(2), {"x": torch.ones(1)}))
        tensor([1.])
    """
    if isinstance(value, Tensor):
        return value if value.is_floating_point() else None
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, list | tuple):
        return next((found for each in value if (found := first_float(each)) is not None), None)
    return None


@final
@dataclass
class CallStack:
    """The calls that are open, innermost last; the whole pass is a call of the model, path ""."""

    paths: dict[int, str]
    """Path of each module by `id`; of a module with two names the first."""
    open: list[Call] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def current(self) -> Call:
        """The innermost open call."""
        return self.open[-1] if self.open else Call("", 0)

    def enter(self, module: nn.Module) -> Call | None:
        """Open a call of `module`; None where it is not part of the model."""
        path = self.paths.get(id(module))
        if path is None:
            return None
        call = Call(path, self.counts[path])
        self.counts[path] += 1
        self.open.append(call)
        return call

    def leave(self, module: nn.Module) -> Call | None:
        """Close the innermost call of `module`, and with it what an exception left open inside."""
        path = self.paths.get(id(module))
        if path is None:
            return None
        if self.open and self.open[-1].path == path:
            return self.open.pop()
        if all(call.path != path for call in self.open):
            return None
        while (call := self.open.pop()).path != path:
            pass
        return call


@contextmanager
def following_calls(
    model: nn.Module,
    entered: Callable[[Call, nn.Module, tuple[Any, ...]], None],
    left: Callable[["Left"], None],
) -> Iterator[CallStack]:
    """Keep the stack of open calls while `model` runs in this thread.

    torch's hooks for all modules are used, not the modules' own: the model itself is not touched.
    They are asked for no keywords: torch 2.13 keeps a trace of such a hook when it is removed.

    Args:
        model: Its modules are followed, others that happen to run are not.
        entered: Called with each call, its module and what it is given by position.
        left: Called with each call that ends; not where the module raised.
    """
    stack = CallStack({id(each): path for path, each in reversed(list(model.named_modules()))})
    thread = threading.get_ident()

    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        if threading.get_ident() == thread and (call := stack.enter(module)) is not None:
            entered(call, module, args)

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if threading.get_ident() == thread and (call := stack.leave(module)) is not None:
            left(Left(call, module, args, output))

    handles = (
        torch_module.register_module_forward_pre_hook(before),
        torch_module.register_module_forward_hook(after),
    )
    try:
        yield stack
    finally:
        for handle in handles:
            handle.remove()


def tensor_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors among the arguments of a torch function, those in lists included."""
    found: list[Tensor] = []
    for value in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found.extend(each for each in value if isinstance(each, Tensor))
    return found

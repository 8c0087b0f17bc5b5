"""What the owner of a model says of a module whose attention cannot be seen."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from torch import nn

from observatory.core.errors import ObservatoryError
from observatory.watch.reading.patterns import Pattern


@runtime_checkable
class Adapter(Protocol):
    """Names modules, and gives the pattern of one of their calls."""

    matches: type[nn.Module] | tuple[type[nn.Module], ...]
    """Classes of the modules."""

    def pattern(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Pattern:
        """What `module` attended to when it was called with `args` and returned `output`."""
        ...


class AttentionNotFoundError(ObservatoryError):
    """A model seems to attend in a way that cannot be read; the message shows the cure."""

    exit_code = 2


def adapter_of(module: nn.Module, adapters: Sequence[Adapter]) -> Adapter | None:
    """The first adapter for a module, or None."""
    return next((each for each in adapters if isinstance(module, each.matches)), None)


def not_found(seen: Sequence[str], owner: str) -> AttentionNotFoundError:
    """The error, with what was seen and the adapter to write for a module of class `owner`."""
    return AttentionNotFoundError(
        "`model` must attend by calls that can be read, but this was seen and not read: "
        f"{'; '.join(seen)}. Say what its pattern is, and give `adapters=[Mine()]`:\n\n"
        "    class Mine:\n"
        f"        matches = {owner}\n\n"
        "        def pattern(self, module, args, output):  # queries, keys [batch, head, pos, d]\n"
        "            queries, keys = module.queries(args[0]), module.keys(args[0])\n"
        "            return ob.softmax_scores(queries, keys, causal=True)\n\n"
        "Or give `attention=False` to look at all else."
    )

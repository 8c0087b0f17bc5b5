"""R networks as one: the layout of their flat parameters, and stacked forwards."""

from collections.abc import Callable, Collection
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, vmap

from observatory.core.contracts import (
    FastPath,
    HasFastPath,
    Model,
    Recorder,
    RecordsOnDemand,
    StackedForward,
)
from observatory.core.errors import ConfigError
from observatory.core.layout import Layout, Params
from observatory.maths.attribution.patching import patched
from observatory.maths.hooks import recording


def layout_of(network: Model) -> Layout:
    """The layout of a network's parameters, in their declared order.

    Raises:
        ConfigError: If `weights()` leaves a parameter out or names one that does not exist.
    """
    assert isinstance(network, nn.Module)
    named, declared = dict(network.named_parameters()), network.weights()
    if wrong := named.keys() ^ declared.keys():
        raise ConfigError(
            "`weights()` must declare every parameter and no other; "
            f"{type(network).__name__} differs in {sorted(wrong)}."
        )
    return Layout(
        tuple(named),
        tuple(parameter.shape for parameter in named.values()),
        tuple(declared[name].role for name in named),
    )


def flat_row(network: nn.Module) -> Float[Tensor, " param"]:
    """A copy of one network's parameters in layout order."""
    return torch.cat([p.detach().reshape(-1) for p in network.parameters()]).clone()


def drawn_row(network: nn.Module, rng: torch.Generator) -> Float[Tensor, " param"]:
    """Parameters drawn anew, in layout order."""
    assert isinstance(network, Model)
    network.initialise(rng)
    return flat_row(network)


def vmapped(network: nn.Module) -> StackedForward:
    """The stacked forward of any network, by `torch.func.vmap`."""

    def single(params: Params, inputs: Int[Tensor, "batch pos"]) -> Tensor:
        return functional_call(network, params, (inputs,))

    return vmap(single, randomness="error")


def vmapped_patched(
    network: nn.Module, relevance: bool
) -> Callable[[Params, Tensor, Params, Params], Tensor]:
    """The stacked forward of any network with some activations set, by `torch.func.vmap`.

    Args:
        network: The prototype network.
        relevance: As of `maths.attribution.patching.patched`.

    Returns:
        A function of parameters, examples, what takes the place of activations, by name, and at
        which of their entries, where not at all.
    """

    def single(params: Params, inputs: Tensor, given: Params, only: Params) -> Tensor:
        with patched(network, given, only, relevance):
            return functional_call(network, params, (inputs,))

    return vmap(single, randomness="error")


def fast_path(network: nn.Module, path: str) -> FastPath | None:
    """The network's fast path where the setting `path` allows it and there is one.

    Args:
        network: The prototype network.
        path: "fast" takes the fast path where there is one, "generic" never does.
    """
    return network.fast_path() if path == "fast" and isinstance(network, HasFastPath) else None


def recorders(
    network: nn.Module, fast: FastPath | None, kinds: Collection[str] | None
) -> tuple[Recorder, ...]:
    """Recording forwards of a network, the cheapest that has these kinds first; the last has all.

    Args:
        network: The prototype network.
        fast: Its fast path.
        kinds: Kinds of activations that are wanted; None: any.
    """
    whole = vmapped_record(network)
    if fast is None:
        return (whole,)
    if (
        kinds is not None
        and isinstance(fast, RecordsOnDemand)
        and fast.recordable.issuperset(kinds)
    ):
        return partial(fast.record_for, kinds=frozenset(kinds)), fast.record, whole
    return fast.record, whole


def vmapped_record(network: nn.Module) -> Recorder:
    """The recording forward of any network, by `torch.func.vmap`."""

    def single(params: Params, inputs: Tensor) -> dict[str, Tensor]:
        with recording(network) as recorded:
            logits = functional_call(network, params, (inputs,))
            return {"logits": logits, **recorded()}

    return vmap(single, in_dims=(0, None), randomness="error")

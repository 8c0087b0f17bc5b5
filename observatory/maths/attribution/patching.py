r"""A network in which some activations are set, and the rules of RelP for its derivatives.

Letters: z what enters a nonlinearity and y what leaves it; g, u the factors of a gated unit.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

_STABILISER = 1e-6
_PRE, _POST = ".mlp_pre", ".mlp_post"
Hook = Callable[[nn.Module, Any, Tensor], Tensor]
"""Of a module, what it read and what it gives: what it shall give."""


def linear_in(
    z: Float[Tensor, "*batch d_mlp"], y: Float[Tensor, "*batch d_mlp"]
) -> Float[Tensor, "*batch d_mlp"]:
    """Y itself, whose derivative by z is y / z: the identity rule.

    Source:
        RelP, arXiv:2508.21258: y / z is held, z moved from 0 by 1e-6. Deviation: none.

    Example:
        >>> z = torch.tensor([2.0, 4.0], requires_grad=True)
        >>> linear_in(z, z.detach().square()).sum().backward()
        >>> z.grad.round(decimals=4)
        tensor([2., 4.])
    """
    away = z + torch.where(z >= 0, _STABILISER, -_STABILISER)
    return away * (y / away).detach()


def normalised(module: nn.LayerNorm | nn.RMSNorm, x: Tensor) -> Tensor:
    """What the module gives, its divisor held: a linear function of x, the rule for norms.

    Source:
        RelP, arXiv:2508.21258. Deviation: none.
    """
    centres = isinstance(module, nn.LayerNorm)
    centred = x - x.mean(dim=-1, keepdim=True) if centres else x
    eps = module.eps if module.eps is not None else torch.finfo(x.dtype).eps
    found = centred * (centred.square().mean(dim=-1, keepdim=True) + eps).rsqrt().detach()
    scaled = found if module.weight is None else found * module.weight
    bias = module.bias if isinstance(module, nn.LayerNorm) else None
    return scaled if bias is None else scaled + bias


def _rules(network: nn.Module) -> Iterator[tuple[str, Hook]]:
    """What is done at which module, in this order."""
    modules, weights = dict(network.named_modules()), dict(network.named_parameters())
    for name, module in modules.items():
        if isinstance(module, nn.LayerNorm | nn.RMSNorm):
            yield name, partial(_held, module)
        block = name.removesuffix(_PRE)
        if block != name and block + _POST in modules:
            entered = list[Tensor]()
            yield name, partial(_cut, entered)
            yield block + _POST, partial(_joined, entered, f"{block}.mlp.W_gate" in weights)


def _held(norm: nn.LayerNorm | nn.RMSNorm, _module: nn.Module, read: Any, _out: Tensor) -> Tensor:
    return normalised(norm, read[0])


def _cut(entered: list[Tensor], _module: nn.Module, _read: Any, z: Tensor) -> Tensor:
    entered.append(z)
    return z.detach()


def _joined(
    entered: list[Tensor], gated: bool, _module: nn.Module, _read: Any, y: Tensor
) -> Tensor:
    through = linear_in(entered.pop(), y)
    return (through + y) / 2 if gated else through  # y has its own way to the other factor


def _set(
    value: Tensor, where: Tensor | None, _module: nn.Module, _read: Any, out: Tensor
) -> Tensor:
    return value if where is None else value.where(where, out)


@contextmanager
def patched(
    network: nn.Module, given: Mapping[str, Tensor], only: Mapping[str, Tensor], relevance: bool
) -> Iterator[None]:
    """While open, activations of `network` are set, and derivatives are those of RelP.

    Args:
        network: With hook points.
        given: By the path of a hook point, what takes the place of the activation that passes it.
        only: By the same path, at which entries; an activation that is not named is set as a whole.
        relevance: Whether derivatives follow RelP: norms keep their divisor, a nonlinearity between
            `mlp_pre` and `mlp_post` is its value over its input, and of a gated unit's factors each
            gets half. No activation changes but by rounding. Attention is derived as it is.

    Source:
        RelP, arXiv:2508.21258: the rules LN, identity and half, its default. Deviation: none.
    """
    those = [(name, partial(_set, value, only.get(name))) for name, value in given.items()]
    read_by_rules = [each for each in those if each[0].endswith(_PRE)]
    others = [each for each in those if not each[0].endswith(_PRE)]
    hooks: list[tuple[str, Hook]] = [
        *read_by_rules, *(_rules(network) if relevance else ()), *others
    ]  # fmt: skip
    handles = [network.get_submodule(name).register_forward_hook(hook) for name, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

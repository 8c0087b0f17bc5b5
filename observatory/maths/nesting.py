"""The state of an optimizer inside the state of the optimizer around it, as one flat dict."""

from observatory.core.layout import Params


def nest(prefix: str, state: Params) -> Params:
    """`state` under names that begin with `prefix`.

    Example:
        >>> import torch
        >>> nest("inner", {"m": torch.zeros(1)})
        {'inner.m': tensor([0.])}
    """
    return {f"{prefix}.{name}": value for name, value in state.items()}


def nested(prefix: str, state: Params) -> Params:
    """What `nest` put into `state`, under its own names: the same tensors, written in place.

    Example:
        >>> import torch
        >>> nested("inner", {"t": torch.ones(1), "inner.m": torch.zeros(1)})
        {'m': tensor([0.])}
    """
    start = f"{prefix}."
    return {
        name.removeprefix(start): value for name, value in state.items() if name.startswith(start)
    }

"""Nonlinearities by the name that a setting gives: "relu", "ash:10", "formula:x*cos(x)"."""

import math
from collections.abc import Callable
from statistics import NormalDist

import torch
from torch.nn import functional as F

from observatory.core.errors import ConfigError
from observatory.core.settings import known_name
from observatory.maths.nonlinearities import ACTIVATIONS, Nonlinearity
from observatory.nonlinearities.ash import Ash
from observatory.nonlinearities.crrelu import CrRelu
from observatory.nonlinearities.elementwise import cubic, fixed_crrelu, sign, threshold
from observatory.nonlinearities.evonorm import EvoNormS0
from observatory.nonlinearities.formula import formula
from observatory.nonlinearities.infinite_depth import SQUARES, infinite_depth
from observatory.nonlinearities.spline import UnitSpline
from observatory.nonlinearities.tau_gate import TauGate

FIXED: dict[str, Nonlinearity] = {
    **ACTIVATIONS,
    "elu": F.elu,
    "selu": F.selu,
    "sin": torch.sin,
    "cos": torch.cos,
    "cubic": cubic,
    "sign": sign,
    "threshold": threshold,
    "crrelu_fixed": fixed_crrelu,
}
"""Fixed functions of one number, which every fast path takes."""


def _ash(argument: str | None, width: int) -> Nonlinearity:
    if argument is None:
        return Ash(1e-3)
    percent = _number("ash", argument, "the percentage of units that passes at the start")
    if not 0 < percent < 100:
        raise ConfigError(f"`activation` ash:PERCENT must be in (0, 100), got {argument!r}.")
    return Ash(-NormalDist().inv_cdf(percent / 100))


def _crrelu(argument: str | None, width: int) -> Nonlinearity:
    _none("crrelu", argument)
    return CrRelu()


def _evonorm_s0(argument: str | None, width: int) -> Nonlinearity:
    groups = 1 if argument is None else _size("evonorm_s0", argument, "the number of groups")
    return EvoNormS0(width, groups)


def _evonorm_b0(argument: str | None, width: int) -> Nonlinearity:
    raise ConfigError(
        "`activation` must not be evonorm_b0: hidden units have no space to take its variance of "
        "an instance over, and its variance of the batch would make the logits of an example "
        "depend on which others are looked at. Take evonorm_s0."
    )


def _formula(argument: str | None, width: int) -> Nonlinearity:
    return formula(argument or "")


def _infinite_depth(argument: str | None, width: int) -> Nonlinearity:
    known_name("activation infinite_depth", argument, SQUARES)
    return infinite_depth(str(argument))


def _spline(argument: str | None, width: int) -> Nonlinearity:
    return UnitSpline(width, 5 if argument is None else _size("spline", argument, "the grid"))


def _tau_gate(argument: str | None, width: int) -> Nonlinearity:
    slope = 10.0 if argument is None else _number("tau_gate", argument, "the slope of its gates")
    if not 0 < slope < math.inf:
        raise ConfigError(f"`activation` tau_gate:SLOPE must be positive, got {argument!r}.")
    return TauGate(width, slope)


MADE: dict[str, Callable[[str | None, int], Nonlinearity]] = {
    "ash": _ash,
    "crrelu": _crrelu,
    "evonorm_b0": _evonorm_b0,
    "evonorm_s0": _evonorm_s0,
    "formula": _formula,
    "infinite_depth": _infinite_depth,
    "spline": _spline,
    "tau_gate": _tau_gate,
}
"""What is made for a layer from an argument behind a colon, if any, and the number of units."""


def nonlinearity(name: str, width: int) -> Nonlinearity:
    """The nonlinearity of one layer.

    Args:
        name: One of `FIXED`, or one of `MADE` with or without ":" and its argument.
        width: Number of hidden units.

    Returns:
        A function of one number each; where it has parameters, a `TrainedNonlinearity`.

    Raises:
        ConfigError: If the name is unknown, or its argument is not what it takes.

    Example:
        >>> nonlinearity("elu", 8)(torch.tensor([2.0])).item()
        2.0
    """
    kind, colon, argument = name.partition(":")
    known_name("activation", kind, [*FIXED, *MADE])
    if kind in MADE:
        return MADE[kind](argument if colon else None, width)
    _none(kind, argument if colon else None)
    return FIXED[kind]


def _none(kind: str, argument: str | None) -> None:
    if argument is not None:
        raise ConfigError(f"`activation` {kind} must have no argument, got {argument!r}.")


def _number(kind: str, argument: str, meaning: str) -> float:
    try:
        return float(argument)
    except ValueError:
        raise ConfigError(
            f"`activation` {kind}:NUMBER must give {meaning}, got {argument!r}."
        ) from None


def _size(kind: str, argument: str, meaning: str) -> int:
    number = _number(kind, argument, meaning)
    if number < 1 or not number.is_integer():
        raise ConfigError(
            f"`activation` {kind}:NUMBER must give {meaning}, a whole number of at least 1, "
            f"got {argument!r}."
        )
    return int(number)

"""An activation written as a formula of x, such as "x*cos(x)".

The text is parsed into a tree and every node is looked up; nothing of it is ever executed.
"""

import ast
from collections.abc import Callable

import torch
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.core.settings import did_you_mean, nearest_first
from observatory.maths.nonlinearities import Nonlinearity

MOST_NODES, MOST_DEEP = 64, 12
TRIED = 0.04 * torch.arange(-200, 201)
"""Points at which a formula and its slope must be finite: -8 to 8, with 0, in float32."""


def _log(x: Tensor) -> Tensor:
    far = x.abs() > 1e-6
    return torch.where(far, torch.where(far, x.abs(), 1.0).log(), 0.0)


FUNCTIONS: dict[str, tuple[int, Callable[..., Tensor]]] = {
    "add": (2, torch.add),
    "sub": (2, torch.sub),
    "mul": (2, torch.mul),
    "div": (2, torch.div),
    "min": (2, torch.minimum),
    "max": (2, torch.maximum),
    "pow": (2, torch.pow),
    "neg": (1, torch.neg),
    "abs": (1, torch.abs),
    "sqrt": (1, lambda x: torch.sqrt(x.abs() + 1e-6)),
    "log": (1, _log),
    "exp": (1, lambda x: torch.exp(x.clamp(max=20.0))),
    "sin": (1, torch.sin),
    "cos": (1, torch.cos),
    "tan": (1, torch.tan),
    "tanh": (1, torch.tanh),
    "relu": (1, torch.relu),
    "erf": (1, torch.erf),
}
"""What a formula may call: number of arguments and function.

`sqrt` is that of |x| + 1e-6; `log` that of |x|, and 0 where |x| is at most 1e-6; `exp` stops
growing at 20; the second argument of `pow` is a whole number from 1 to 9.
"""

_SIGNS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}


def formula(text: str) -> Nonlinearity:
    """The function that a formula of x writes out.

    Args:
        text: Numbers, x, + - * / **, brackets and calls of `FUNCTIONS`; at most 64 nodes, 12 deep.

    Raises:
        ConfigError: If it is no such formula, has no x, or if it or its slope is not finite at
            one of 401 points from -8 to 8.

    Source:
        The operators are those of arXiv:2601.10740, protected as there. Deviation: constants, exp,
        tanh, relu, erf and whole powers besides; the text is not executed.

    Example:
        >>> formula("mul(cos(x), x)")(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.5403])
        >>> formula("__import__('os')")
        Traceback (most recent call last):
        observatory.core.errors.ConfigError: `activation` must be a formula of x, got...
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(text, f"it cannot be read ({error})") from None
    n_nodes = sum(isinstance(node, ast.expr) for node in ast.walk(tree))
    if n_nodes > MOST_NODES:
        raise _refused(text, f"it has {n_nodes} nodes, and at most {MOST_NODES} are allowed")
    if not any(isinstance(node, ast.Name) and node.id == "x" for node in ast.walk(tree)):
        raise _refused(text, "it has no x")
    try:
        found = _compiled(tree, text, 1)
    except OverflowError:
        raise _refused(text, "it has a number that is too large") from None
    _check_finite(found, text)
    return found


def _compiled(node: ast.expr, text: str, depth: int) -> Nonlinearity:
    """The function of a node of the tree."""
    if depth > MOST_DEEP:
        raise _refused(text, f"it is more than {MOST_DEEP} deep")
    match node:
        case ast.Name(id="x"):
            return lambda x: x
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            value = float(number)
            return lambda x: torch.full_like(x, value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _called("neg", [operand], text, depth)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _SIGNS:
            return _called(_SIGNS[type(op)], [left, right], text, depth)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _called(name, arguments, text, depth)
        case ast.Name(id=name):
            raise _refused(text, f"its only variable is x, not {name}")
        case _:
            raise _refused(text, f"{ast.unparse(node)!r} is no part of a formula")


def _called(name: str, arguments: list[ast.expr], text: str, depth: int) -> Nonlinearity:
    """A call of one of `FUNCTIONS`."""
    if name not in FUNCTIONS:
        known, meant = nearest_first(name, FUNCTIONS), did_you_mean(name, FUNCTIONS)
        raise _refused(text, f"{name} is none of its functions {known}.{meant}")
    arity, function = FUNCTIONS[name]
    if len(arguments) != arity:
        raise _refused(
            text, f"{name} takes {arity} argument{'s' * (arity > 1)}, not {len(arguments)}"
        )
    if name == "pow":
        return _whole_power(arguments[0], arguments[1], text, depth)
    parts = [_compiled(argument, text, depth + 1) for argument in arguments]
    if arity == 1:
        (only,) = parts
        return lambda x: function(only(x))
    left, right = parts
    return lambda x: function(left(x), right(x))


def _whole_power(base: ast.expr, exponent: ast.expr, text: str, depth: int) -> Nonlinearity:
    n = exponent.value if isinstance(exponent, ast.Constant) else None
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= 9:
        raise _refused(text, "an exponent is a whole number from 1 to 9")
    below = _compiled(base, text, depth + 1)
    return lambda x: torch.pow(below(x), n)


def _check_finite(function: Nonlinearity, text: str) -> None:
    """Refuse poles: the value and the slope must be finite at all points of `TRIED`."""
    x = TRIED.clone().requires_grad_()
    with torch.enable_grad():
        y = function(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
    bad = ~(y.isfinite() & slope.isfinite())
    if bad.any():
        point = float(TRIED[bad][0])
        raise _refused(text, f"its value or its slope is not finite at x = {point:g}")


def _refused(text: str, reason: str) -> ConfigError:
    return ConfigError(
        f"`activation` must be a formula of x, got {text!r}: {reason}. "
        'Write it as in "formula:x*cos(x)".'
    )

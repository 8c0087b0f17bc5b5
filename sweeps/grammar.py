"""A small grammar of activation formulas: which may be drawn, and which of them are alike."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, final

import numpy as np
import torch
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.core.settings import Range, checked, declared, known_name
from observatory.nonlinearities.formula import FUNCTIONS, TRIED, formula

DRAWS = 10_000
"""Formulas that are drawn before those of one size are taken to be exhausted."""


@final
@dataclass(frozen=True)
class Grammar:
    """What a formula is made of."""

    leaves: list[str | float]  # x, and numbers
    unary: list[str]  # functions of one argument
    binary: list[str]  # functions of two
    depth: Annotated[int, Range(1, 5)]  # how deep calls may be nested; 5 make at most 63 nodes

    def __post_init__(self) -> None:
        checked(vars(self), declared(Grammar), "formulas.grammar")
        for group, arity in (("unary", 1), ("binary", 2)):
            known = [name for name, (n, _) in FUNCTIONS.items() if n == arity and name != "pow"]
            for name in getattr(self, group):
                known_name(f"formulas.grammar.{group}", name, known)
        texts = [leaf for leaf in self.leaves if isinstance(leaf, str)]
        if texts != ["x"]:
            raise ConfigError(
                f"`formulas.grammar.leaves` must be x, once, and numbers, got {self.leaves}."
            )
        for group in ("leaves", "unary", "binary"):
            if len(set(getattr(self, group))) < len(getattr(self, group)):
                raise ConfigError(f"`formulas.grammar.{group}` must name each of its symbols once.")

    def formula(self, choose: Callable[[str, list[str]], str], at: str = "node") -> str:
        """A formula, of which each symbol is chosen among all that may stand there.

        Args:
            choose: Given the name of a place and the symbols that may stand there, one of them.
                "node" is the outermost, "node01" the second argument of its first one.
            at: The place to begin at.

        Example:
            >>> rules = Grammar(["x", 2], ["cos"], ["mul"], 2)
            >>> rules.formula(lambda at, symbols: {"node": "mul", "node1": "cos"}.get(at, "x"))
            'mul(x, cos(x))'
        """
        leaves = [str(leaf) for leaf in self.leaves]
        inner = len(at) - len("node") < self.depth
        symbol = choose(at, [*leaves, *self.unary, *self.binary] if inner else leaves)
        if symbol in leaves:
            return symbol
        arity = FUNCTIONS[symbol][0]
        return f"{symbol}({', '.join(self.formula(choose, f'{at}{n}') for n in range(arity))})"


def n_nodes(text: str) -> int:
    """How many symbols a formula has, its size.

    Example:
        >>> n_nodes("mul(x, cos(x))"), n_nodes("mul(x, 1e-05)")
        (4, 3)
    """
    return len(re.findall(r"[^(), ]+", text))


@cache
def values_of(text: str) -> Tensor | None:
    """Values of a formula at the points `TRIED`, `[401]`, float32.

    None where it cannot be an activation: its value or slope is not finite at some point, or it is
    constant, and the network would not see its input.
    """
    try:
        values = formula(text)(TRIED)
    except ConfigError:
        return None
    return None if bool(values.max() - values.min() < 1e-4) else values


def among(values: Tensor, others: Sequence[Tensor]) -> bool:
    """Whether a function f is one of others, however it is written.

    f(-x), -f(x) and -f(-x) count as f: weights begin with either sign, so that networks of them
    are alike. `TRIED` is symmetric about 0.
    """
    alike = (values, -values, values.flip(0), -values.flip(0))
    return any(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for b in others for a in alike)


def random_formulas(
    grammar: Grammar, n: int, size: int, unlike: Sequence[str], rng: np.random.Generator
) -> list[str]:
    """Formulas of one size, symbols drawn with equal chances; no two are one function.

    Args:
        grammar: What they are made of.
        n: How many; fewer where `DRAWS` draws find no more.
        size: Nodes of each.
        unlike: Formulas whose functions are left out.
        rng: Of the draws.
    """
    made: list[str] = []
    known = [values for text in unlike if (values := values_of(text)) is not None]
    seen: set[str] = set()
    for _ in range(DRAWS):
        if len(made) == n:
            break
        text = grammar.formula(lambda _, symbols: symbols[int(rng.integers(len(symbols)))])
        if n_nodes(text) != size or text in seen:
            continue
        seen.add(text)
        values = values_of(text)
        if values is not None and not among(values, known):
            made.append(text)
            known.append(values)
    return made


def read_grammar(settings: Any) -> Grammar:
    """The grammar that `formulas.grammar` of a configuration states.

    Raises:
        ConfigError: If a setting breaks its rule.
    """
    return Grammar(**checked(settings, declared(Grammar), "formulas.grammar", complete=True))

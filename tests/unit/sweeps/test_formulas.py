"""The search for a formula: what a grammar makes, and that a killed search goes on the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.nonlinearities.formula import TRIED
from observatory.sweeps.formulas import FormulaRule, FormulaSearch, log_times, read_rule
from observatory.sweeps.grammar import (
    Grammar,
    among,
    n_nodes,
    random_formulas,
    read_grammar,
    values_of,
)

GRAMMAR = {"leaves": ["x", 1], "unary": ["sin", "cos", "neg"], "binary": ["add", "mul"], "depth": 2}
RULES = {
    **{"grammar": GRAMMAR, "event": "first99", "budget": 14, "batch": 4, "seed": 0},
    **{"fresh": 0.3, "tournament": 3},
    **{"operations": ["mul"], "n_random": 3, "seeds": 6},
}
ABOUT = {"task": {"p": 17}}


def value(text: str) -> float:
    """The shorter, the nearer a formula is to x * x."""
    values, aim = values_of(text), values_of("mul(x, x)")
    assert values is not None
    assert aim is not None
    return float((values - aim).abs().mean())


def run(search: FormulaSearch, most: int = 99) -> FormulaSearch:
    for _ in range(most):
        if not (batch := search.batch()):
            break
        for text, number in batch.items():
            search.record(number, [value(text)])
    return search


def trials(search: FormulaSearch) -> list[Any]:
    return [(t.params, t.value, t.state, t.user_attrs) for t in search.study.trials]


def test_a_search_tries_each_function_once_and_keeps_the_nearest(tmp_path: Path) -> None:
    search = run(FormulaSearch(tmp_path, read_rule(RULES), ABOUT))
    asked = [t.user_attrs["formula"] for t in search.study.trials if "formula" in t.user_attrs]
    assert len(asked) == 14
    functions = [values_of(text) for text in asked]
    for place, own in enumerate(functions):
        assert own is not None
        assert not among(own, functions[:place])  # type: ignore[arg-type]
    best, found = search.best()
    assert found == min(map(value, asked)) == value(best)
    assert search.text().startswith("14 formulas: ")
    assert search.batch() == {}


def test_a_search_that_was_killed_goes_on_as_it_would_have(tmp_path: Path) -> None:
    rule = read_rule(RULES)
    whole = run(FormulaSearch(tmp_path / "whole", rule, ABOUT))
    cut = run(FormulaSearch(tmp_path / "cut", rule, ABOUT), most=2)
    first, *others = cut.batch().items()  # killed when one of four was recorded
    cut.record(first[1], [value(first[0])])
    with (tmp_path / "cut" / "formulas.journal").open("a") as journal:
        journal.write('{"op_code": 4, "wor')
    again = FormulaSearch(tmp_path / "cut", rule, ABOUT)
    assert list(again.batch().items()) == others
    assert trials(run(again)) == trials(whole)
    assert again.controls() == whole.controls()
    with pytest.raises(ConfigError, match=r"`formulas\.budget` is 14 there and 20 now"):
        FormulaSearch(tmp_path / "cut", read_rule({**RULES, "budget": 20}), ABOUT)


def test_a_grammar_that_is_exhausted_ends_the_search(tmp_path: Path) -> None:
    small = {"leaves": ["x", 1], "unary": ["neg"], "binary": [], "depth": 1}
    search = run(FormulaSearch(tmp_path, read_rule({**RULES, "grammar": small}), ABOUT))
    asked = [t.user_attrs["formula"] for t in search.study.trials if "formula" in t.user_attrs]
    assert asked in (["x"], ["neg(x)"])  # one activation; constants are not worth a run


def test_random_formulas_have_one_size_and_are_no_other_function() -> None:
    rng = np.random.default_rng(0)
    unlike = ["mul(x, x)", "add(x, x)"]
    made = random_formulas(read_grammar(GRAMMAR), 5, 3, unlike, rng)
    assert len(set(made)) == 5
    for place, text in enumerate(made):
        own = values_of(text)
        assert own is not None
        assert n_nodes(text) == 3
        others = [values_of(other) for other in [*unlike, *made[:place]]]
        assert not among(own, others)  # type: ignore[arg-type]
    assert n_nodes("mul(x, 1e-05)") == 3  # as a leaf 1e-5 is written
    none = random_formulas(Grammar(["x"], ["neg"], [], 1), 2, 5, [], rng)
    assert none == []


def test_symbols_are_drawn_with_equal_chances() -> None:
    """The outermost of 7 symbols: each share of 2000 draws within 5 standard errors of 1/7."""
    rng = np.random.default_rng(1)
    grammar = read_grammar(GRAMMAR)
    drawn = [
        grammar.formula(lambda _, symbols: symbols[rng.integers(len(symbols))]).partition("(")[0]
        for _ in range(2000)
    ]
    for symbol in ("x", "1", "sin", "cos", "neg", "add", "mul"):
        assert abs(drawn.count(symbol) / 2000 - 1 / 7) < 5 * (6 / 49 / 2000) ** 0.5


def test_functions_that_cannot_be_activations_have_no_values() -> None:
    assert values_of("div(1, x)") is None  # a pole
    assert values_of("sub(x, x)") is None  # constant
    ours, theirs = values_of("add(x, cos(x))"), values_of("add(cos(x), x)")
    assert ours is not None
    assert theirs is not None
    assert among(ours, [theirs])
    for text, alike in (("relu(neg(x))", True), ("neg(relu(x))", True), ("abs(x)", False)):
        own = values_of(text)
        assert own is not None
        assert among(own, [torch.relu(TRIED)]) == alike


def test_a_replica_without_the_event_costs_its_horizon() -> None:
    outcomes = pd.DataFrame({"first99_observed": [True, False], "first99_hi": [100.0, np.nan]})
    assert log_times(outcomes, "first99", 1000).tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unary": ["sine"]}, r"`formulas\.grammar\.unary` must be one of .*Did you mean sin"),
        ({"unary": ["add"]}, r"`formulas\.grammar\.unary` must be one of"),
        ({"binary": ["pow"]}, r"`formulas\.grammar\.binary` must be one of"),
        ({"binary": ["add", "add"]}, "must name each of its symbols once"),
        ({"leaves": [1, 2]}, "must be x, once, and numbers"),
        ({"leaves": ["x", "y"]}, "must be x, once, and numbers"),
        ({"depth": 6}, r"`formulas\.grammar\.depth` must be"),
        ({"deep": 2}, "is no setting of `formulas.grammar`"),
    ],
)
def test_grammars_that_make_no_sense_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_rule({**RULES, "grammar": {**GRAMMAR, **change}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 4}, r"`formulas\.seeds` must be"),
        ({"operations": []}, r"`formulas\.operations` must name tasks"),
        ({"operations": ["mul,sub"]}, r"`formulas\.operations` must name tasks"),
        ({"operations": ["mul", "mul"]}, r"`formulas\.operations` must name tasks, each once"),
        ({"budget": 0}, r"`formulas\.budget` must be"),
    ],
)
def test_rules_that_make_no_sense_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_rule({**RULES, **change})


def test_a_grammar_of_constants_alone_is_refused_when_nothing_was_found(tmp_path: Path) -> None:
    rule: FormulaRule = read_rule(RULES)
    with pytest.raises(ConfigError, match="must have formulas that vary with x"):
        FormulaSearch(tmp_path, rule, ABOUT).best()

"""What is typed behind options is read as the value that was meant."""

import math

import click
import pytest

from observatory.cli.types import Names, Number, settings
from observatory.core.errors import ConfigError


def test_settings_are_hydras_overrides() -> None:
    read = settings(["margin=1e-3", "beta=[1e-4, -.5E1]", "law=e5", "tag='1e5'", "guess=null"])
    expected = {"margin": 1e-3, "beta": [1e-4, -5.0], "law": "e5", "tag": "1e5", "guess": None}
    assert read == expected
    assert settings(["top=1e400", "low=1.5", "on=true"]) == {
        "top": math.inf,
        "low": 1.5,
        "on": True,
    }
    assert settings(["text='a b'", "names=[a,b]", "n=3"]) == {
        "text": "a b",
        "names": ["a", "b"],
        "n": 3,
    }


@pytest.mark.parametrize("typed", ["smoothing", "a=[1", "a=1,2", "+a=1", "~a", "a=choice(1,2)"])
def test_what_is_no_assignment_is_refused_in_our_words(typed: str) -> None:
    with pytest.raises(ConfigError, match="`--set` must be KEY=VALUE, got"):
        settings([typed])


@pytest.mark.parametrize(
    ("whole", "typed", "value"),
    [(True, "3e4", 30_000), (True, "-5", -5), (False, "1e-3", 1e-3), (False, "inf", math.inf)],
)
def test_numbers_are_read_as_they_are_typed(whole: bool, typed: str, value: float) -> None:
    read = Number(whole=whole).convert(typed, None, None)
    assert read == value
    assert isinstance(read, int) == whole


@pytest.mark.parametrize("typed", ["0.5", "nan", "inf", "many", ""])
def test_what_is_no_whole_number_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="must be a whole number, got"):
        Number(whole=True).convert(typed, None, None)


def test_no_limit_is_a_limit_only_where_there_may_be_none() -> None:
    assert Number(whole=False, limit=True).convert("none", None, None) == math.inf
    with pytest.raises(click.BadParameter, match="must be a number"):
        Number(whole=False).convert("none", None, None)


def test_names_have_commas_between_them() -> None:
    assert Names(single=False).convert("a, b", None, None) == ["a", "b"]
    assert Names(single=False).convert("a", None, None) == ["a"]
    assert Names(single=True).convert("a", None, None) == "a"
    with pytest.raises(click.BadParameter, match="names with commas"):
        Names(single=False).convert("a,,b", None, None)

"""Which plain values are of a declared type."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from observatory.core.errors import ConfigError
from observatory.core.schedule import Every, Schedule
from observatory.core.settings import (
    Count,
    Positive,
    Range,
    Rising,
    Share,
    Size,
    checked,
    declared,
    fits,
    known_name,
)
from observatory.fleet.settings import EvaluationSettings

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("hint", "fitting", "others"),
    [
        (int, [0, -3], [True, 1.0, "1", None, [1]]),
        (float, [0, -3, 0.5], [True, NAN, INF, "0.5", None]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "a"], [0, None, ["a"]]),
        (int | None, [None, 2], [2.5, "null"]),
        (Literal["a", "b"], ["a"], ["c", 0]),
        (tuple[int, ...], [[], [1, 2], (1,)], [1, "12", [1, "2"], [1, None]]),
        (Sequence[str], [["a"]], ["a", {"a": 1}, [1]]),
        (Mapping[str, int], [{}, {"a": 1}], [{"a": "b"}, [1], "a"]),
        (dict[str, Any], [{"a": "b"}], [[1]]),
        (tuple[str, int], [["a", 1]], [["a"], ["a", "b"], ["a", 1, 2]]),
        (dict, [{}, {"a": 1}], [[1]]),
        (tuple, [[], [1, "a"]], ["a", 1]),
        (Schedule, [{"_target_": "x.Y"}, Every(1)], [1, "a", None]),
        (Path, ["a", Path("a")], []),
        (object, ["a", 1, None], []),
        (int, [10**400, np.int64(2)], [np.bool_(True), np.float64(2)]),
        (Share, [0.5, np.float32(0.5)], [0, 1, NAN, "0.5", None]),
        (Size, [1, 10**30], [0, 1.0, True]),
        (Count | None, [0, None], [-1]),
        (Positive, [1e-300, 3], [0, INF, True]),
        (Annotated[float, Range(2, whole=True)], [2, 3.0, 1e6], [2.5, 1, INF, None, True]),
        (Annotated[float, Range(0, INF)], [0, INF], [-INF, NAN]),
        (Annotated[tuple[float, float], Rising(0.1)], [[1, 2], (-1, 0)], [[1, 1.05], [2, 1], [1]]),
        (Annotated[list[float], Rising()], [[], [1], [1, 2.5]], [[1, 1], [1, "a"]]),
    ],
)
def test_a_value_fits_its_type(hint: Any, fitting: list[Any], others: list[Any]) -> None:
    assert [value for value in fitting if not fits(value, hint)] == []
    assert [value for value in others if fits(value, hint)] == []


def test_a_setting_is_refused_by_its_name() -> None:
    def made(width: int, names: list[str] | None = None) -> None: ...

    given = {"width": 3, "names": None, "unknown": object()}
    assert checked(given, declared(made), open_ended=True) == given
    with pytest.raises(ConfigError, match=r"`fleet.width` must be a whole number, got 'x'"):
        checked({"width": "x"}, declared(made), "fleet")
    with pytest.raises(ConfigError, match=r"must be a list, each a text or null, got 3"):
        checked({"names": 3}, declared(made))


def test_unknown_and_missing_names_are_refused() -> None:
    types = {"size": Size, "shards": int}
    with pytest.raises(ConfigError) as unknown:
        checked({"szie": 3}, types, "fleet")
    assert str(unknown.value) == (
        "`fleet.szie` is no setting of `fleet`, which has ['size', 'shards']. Did you mean size?"
    )
    with pytest.raises(ConfigError, match=r"`update` must be given, any value, and is missing"):
        checked({}, {"update": Any}, complete=True)
    with pytest.raises(ConfigError, match=r"`fleet.shards` must be given, a whole number"):
        checked({"size": 3}, types, "fleet", complete=True)
    with pytest.raises(ConfigError, match="`fleet` must have settings by name, got 3"):
        checked(3, types, "fleet")
    with pytest.raises(ConfigError, match=r"of \['lsq', 'firth'\], got 'lqs'. Did you mean lsq"):
        known_name("estimator", "lqs", ["firth", "lsq"])


def test_what_a_rule_says() -> None:
    advised: Any = Annotated[float, Range(2, 1e6, whole=True, advice="Give fewer.")]
    for kind, value, said in (
        (Share, 95, "in (0, 1), got 95. Give the fraction, not the percentage."),
        (Positive, 0, "a positive number, got 0."),
        (declared(EvaluationSettings)["subset"], 0, "a whole number of at least 1 or null, got 0."),
        (Annotated[float, Range(1, open=True)], 1, "a number above 1, got 1."),
        (advised | None, 1, "a whole number in [2, 1e+06] or null, got 1. Give fewer."),
        (Literal["a"], "b", "'a', got 'b'."),
        (
            Annotated[tuple[Share, Share], Rising(0.01)],
            [0.5, 0.5],
            "[in (0, 1), in (0, 1)], rising, each at least 1% above the one before, "
            "got [0.5, 0.5].",
        ),
    ):
        with pytest.raises(ConfigError) as refused:
            checked({"x": value}, {"x": kind})
        assert str(refused.value) == f"`x` must be {said}"
    assert checked({"x": 1e3}, {"x": advised}) == {"x": 1000}
    assert isinstance(checked({"x": 1e3}, {"x": advised})["x"], int)


def test_what_declares_nothing_readable_is_not_judged() -> None:
    def made(width: "NoSuchName") -> None: ...  # noqa: F821 # pyright: ignore

    def noted(width: "how wide it is") -> None: ...  # pyright: ignore

    assert declared(made) == declared(noted) == {}

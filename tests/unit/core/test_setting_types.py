"""Which plain values are of a declared type."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from observatory.core.errors import ConfigError
from observatory.core.schedule import Every, Schedule
from observatory.core.setting_types import check_types, declared, fits

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
        (int, [10**400], []),
    ],
)
def test_a_value_fits_its_type(hint: Any, fitting: list[Any], others: list[Any]) -> None:
    assert [value for value in fitting if not fits(value, hint)] == []
    assert [value for value in others if fits(value, hint)] == []


def test_a_setting_is_refused_by_its_name() -> None:
    def made(width: int, names: list[str] | None = None) -> None: ...

    check_types(declared(made), {"width": 3, "names": None, "unknown": object()})
    with pytest.raises(ConfigError, match=r"`fleet.width` must be an integer, got 'x'"):
        check_types(declared(made), {"width": "x"}, "fleet.")
    with pytest.raises(ConfigError, match=r"must be a list, each a text or null, got 3"):
        check_types(declared(made), {"names": 3})


def test_what_declares_nothing_readable_is_not_judged() -> None:
    def made(width: "NoSuchName") -> None: ...  # noqa: F821 # pyright: ignore

    def noted(width: "how wide it is") -> None: ...  # pyright: ignore

    assert declared(made) == declared(noted) == {}

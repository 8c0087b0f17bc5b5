import pytest

from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.search import as_bound, end_of_search


@pytest.mark.parametrize(
    ("value", "low", "high", "end"),
    [
        (-1.0, -1.0, 2.0, "lowest"),
        (-1.0 + 1e-8, -1.0, 2.0, "lowest"),
        (2.0, -1.0, 2.0, "highest"),
        (-0.99, -1.0, 2.0, None),
        (0.0, None, 0.5, None),
        (0.5, None, 0.5, "highest"),
        (7.0, None, None, None),
    ],
)
def test_only_what_lies_at_an_end_is_at_it(value, low, high, end) -> None:
    assert end_of_search(value, low, high) == end


@pytest.mark.parametrize(
    ("end", "limits"), [("lowest", (None, 0.7)), ("highest", (0.3, None))], ids=str
)
def test_a_bound_has_no_error_and_no_limit_on_its_side(end: str, limits) -> None:
    made, words = as_bound("guess", Parameter(0.5, 0.1, 0.3, 0.7), end)
    assert made == Parameter(0.5, None, *limits)
    assert words.startswith(f"`guess` lies at 0.5, the {end} value searched")

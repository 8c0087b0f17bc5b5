import numpy as np
import pytest

from observatory.core.columns import Column, Dtype
from observatory.core.errors import StoreError
from observatory.store.cells import to_arrow, to_chunk
from observatory.store.schema import to_arrow_field


def column(dtype: Dtype = "float64", dims: tuple[str, ...] = ()) -> Column:
    return Column(name="x", unit="1", meaning="an x", dtype=dtype, dims=dims)


def written(declared: Column, *chunks: tuple[np.ndarray | None, np.ndarray | None, int]) -> list:
    made = [to_chunk(declared, *chunk) for chunk in chunks]
    return to_arrow(to_arrow_field(declared), made).to_pylist()


def test_null_and_nan_are_two_things() -> None:
    values = np.array([np.nan, 1.0, np.inf])
    assert str(written(column(), (values, np.array([True, False, True]), 3))) == "[nan, None, inf]"


def test_none_is_null_for_every_row() -> None:
    assert written(column("int64"), (None, None, 2), (np.array([3]), None, 1)) == [None, None, 3]


def test_lists_may_differ_in_length_and_be_null_or_empty() -> None:
    rows = written(
        column(dims=("layer",)),
        (np.ones((2, 3)), np.array([False, True]), 2),
        (None, None, 1),
        (np.zeros((1, 0)), None, 1),
        (np.full((1, 2), np.nan), None, 1),
    )
    assert str(rows) == "[None, [1.0, 1.0, 1.0], None, [], [nan, nan]]"


def test_a_number_within_a_list_may_be_null() -> None:
    values = np.arange(8.0).reshape(2, 2, 2)
    defined = np.array([[True, False], [True, True]])
    rows = written(
        column(dims=("layer", "head")), (values, defined, 2), (values[:1], None, 1), (None, None, 1)
    )
    assert rows == [
        [[0.0, 1.0], [None, None]],
        [[4.0, 5.0], [6.0, 7.0]],
        [[0.0, 1.0], [2.0, 3.0]],
        None,
    ]


def test_strings_may_be_null() -> None:
    values = np.array(["a", None, "c"], dtype=object)
    declared = column("string")
    assert written(declared, (values, np.array([True, True, False]), 3)) == ["a", None, None]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("int64", np.array([3.5])),
        ("bool", np.array([1])),
        ("float64", np.array([1j])),
        ("float64", np.array([None], dtype=object)),
    ],
)
def test_no_value_loses_its_kind(dtype: Dtype, values: np.ndarray) -> None:
    with pytest.raises(StoreError, match=f"`x` is declared {dtype}"):
        to_chunk(column(dtype), values, None, 1)


def test_a_string_is_a_string() -> None:
    with pytest.raises(StoreError, match="strings or None"):
        to_chunk(column("string"), np.array([3], dtype=object), None, 1)


@pytest.mark.parametrize("shape", [(), (2,), (3, 2), (3, 2, 1, 1)])
def test_a_shape_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(StoreError, match=r"shape \[3, layer, head\]"):
        to_chunk(column(dims=("layer", "head")), np.zeros(shape), None, 3)


@pytest.mark.parametrize(
    "defined", [np.ones(2, dtype=bool), np.ones(3), np.ones((3, 1), dtype=bool), np.array(True)]
)
def test_a_mask_that_does_not_fit_is_refused(defined: np.ndarray) -> None:
    with pytest.raises(StoreError, match="`defined` of column `x`"):
        to_chunk(column(dims=("layer",)), np.zeros((3, 2)), defined, 3)

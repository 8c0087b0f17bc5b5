import pyarrow as pa
import pytest

from observatory.core.columns import Column
from observatory.core.errors import StoreError
from observatory.store.schema import KEYS, SCHEMA_VERSION, check_version, to_arrow_schema


def test_keys_come_first_and_are_never_null() -> None:
    schema = to_arrow_schema([Column(name="x", unit="1", meaning="an x")])
    assert schema.names == ["run_id", "replica", "step", "x"]
    assert [schema.field(key.name).nullable for key in KEYS] == [False, False, False]
    assert schema.field("x").nullable
    assert schema.field("run_id").type == pa.dictionary(pa.int32(), pa.string())


@pytest.mark.parametrize(
    ("dims", "expected"),
    [
        ((), pa.float64()),
        (("layer",), pa.list_(pa.float64())),
        (("layer", "head"), pa.list_(pa.list_(pa.float64()))),
    ],
)
def test_axes_of_a_cell_are_nested_lists(dims: tuple[str, ...], expected: pa.DataType) -> None:
    schema = to_arrow_schema([Column(name="x", unit="1", meaning="an x", dims=dims)])
    assert schema.field("x").type == expected


def test_units_and_meanings_are_in_the_fields() -> None:
    column = Column(name="loss", unit="nats", meaning="mean loss", dims=("layer",))
    metadata = to_arrow_schema([column]).field("loss").metadata
    assert metadata == {b"unit": b"nats", b"meaning": b"mean loss", b"dims": b"layer"}


def test_three_axes_are_refused() -> None:
    with pytest.raises(StoreError, match="at most 2 axes"):
        to_arrow_schema([Column(name="x", unit="1", meaning="an x", dims=("layer", "head", "pos"))])


@pytest.mark.parametrize("names", [("x", "x"), ("step",)])
def test_a_name_is_used_once(names: tuple[str, ...]) -> None:
    with pytest.raises(StoreError, match=names[0]):
        to_arrow_schema([Column(name=name, unit="1", meaning="an x") for name in names])


@pytest.mark.parametrize("found", [None, 0, SCHEMA_VERSION + 1, str(SCHEMA_VERSION)])
def test_another_version_is_refused(found: object) -> None:
    with pytest.raises(StoreError, match=r"schema_version.*Nothing was changed") as refused:
        check_version({"run_id": "abc", "schema_version": found})
    assert refused.value.exit_code == 2


def test_this_version_is_accepted() -> None:
    check_version({"run_id": "abc", "schema_version": SCHEMA_VERSION})

"""A page computes nothing that is not stored: its tables are walked, number by number."""

import shutil
from pathlib import Path

import numpy as np

from observatory.store.files import read_json, write_json
from tests.unit.analysis.report.numbers import is_stored, shown, stored


def test_every_number_of_every_table_is_in_a_stored_record(laptop_map: Path) -> None:
    numbers, written = stored(laptop_map), shown(laptop_map / "report.html")
    assert len(written) > 300
    assert [text for text in written if not is_stored(text, numbers)] == []


def test_a_number_that_is_not_stored_is_found(laptop_map: Path, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(laptop_map, folder)
    fits = read_json(folder / "fits.json")
    boundary = next(r for r in fits["fits"] if r["fit"] == "boundary" and not r["refused"])
    for key in ("value", "ci_low", "ci_high"):
        boundary["params"]["critical"][key] *= 1.037
    write_json(folder / "fits.json", fits)
    numbers = stored(folder)
    assert [text for text in shown(laptop_map / "report.html") if not is_stored(text, numbers)]


def test_rounding_is_that_of_the_last_digit() -> None:
    numbers = np.array([0.14237, 2500.0, 0.9386])
    assert all(is_stored(text, numbers) for text in ("0.142", "2500", "93.86%", "-0.1424"))
    assert not any(is_stored(text, numbers) for text in ("0.143", "2501", "93.87%"))

"""Numbers that a page shows in its tables, and numbers that a study has stored."""

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observatory.store.files import read_json
from observatory.store.reader import Study

LONGEST_PRINTED = 20
"""Entries of a curve that a table may hold, one per weight decay."""
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?:\s?%)?(?![\w])")


class _Cells(HTMLParser):
    """The texts of the cells of every table, by the table's caption or heading."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self._cell = False
        self._svg = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._svg += tag == "svg"
        if tag == "td":
            self._cell = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._svg -= tag == "svg"
        if tag == "td":
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell and not self._svg:
            self.cells[-1] += data


def shown(page: Path) -> list[str]:
    """Every number in a cell of a table, as it is written."""
    cells = _Cells(page.read_text(encoding="utf-8")).cells
    texts = (re.sub(r"(?<=\d),(?=\d{3})", "", cell.replace("−", "-")) for cell in cells)
    return [found for text in texts for found in _NUMBER.findall(text)]


def stored(folder: Path) -> np.ndarray:
    """Every number in a study's fits, tables of replicas, manifests and records of cost."""
    study = Study(folder)
    found = [*_numbers([_in_words(r) for r in read_json(folder / "fits.json")["fits"]])]
    replicas = pd.read_csv(folder / "replicas.csv")
    found += [x for c in replicas.select_dtypes("number") for x in replicas[c].dropna()]
    found += [len(replicas), len(study.runs), replicas["seed"].nunique()]
    for run in study.runs:
        progress = run.progress()
        found += [len(run.replicas()), *_numbers(run.manifest), *_numbers(progress)]
        if cost := run.manifest.get("cost"):  # two numbers are sums and ratios of what is there
            found.append(1000.0 * cost["cpu_s"] / cost["replica_steps"])
            found.append(sum(s for name, s in cost["shares"].items() if name.startswith("probe:")))
    return np.unique(np.array(found, dtype=np.float64))


def is_stored(text: str, numbers: np.ndarray) -> bool:
    """Whether a number as written is one of these, rounded; a percentage is one of them in 100."""
    scale = 100.0 if text.endswith("%") else 1.0
    text = text.rstrip("% ")
    digits, _, power = text.partition("e")
    decimals = len(digits.partition(".")[2])
    value = float(text) / scale
    half = 0.5000001 * 10.0 ** (int(power or 0) - decimals) / scale
    return bool(np.any(np.abs(np.abs(numbers) - abs(value)) <= half))


def _in_words(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without its long curves, which are drawn and never printed."""
    short = {name: v for name, v in record["curves"].items() if len(v) <= LONGEST_PRINTED}
    return {**record, "curves": short}


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, str):
        yield from (float(x.rstrip("% ")) for x in _NUMBER.findall(value))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _numbers(str(name))
            yield from _numbers(item)
    else:
        for item in value:
            yield from _numbers(item)

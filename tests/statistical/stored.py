"""Outcomes of long calibrations, kept in data/; every test run computes a part of them again.

`python -m tests.statistical.stored` computes them all, names after it only these. Whoever changes a
number of an estimator runs it, and sees in the tests whether the rates still hold.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import observatory

DATA = Path(__file__).parent / "data"
ANALYSIS = Path(observatory.__file__).parent / "analysis"
HOLDERS = ("calibration", "chain_studies", "emergence_studies", "forecast_studies")
"""Modules with calibrations, in their `STORED`."""

Outcome = dict[str, str | float | bool | None]


@dataclass(frozen=True)
class Calibration:
    """Studies that are made up and judged one by one.

    Attributes:
        name: Of the file in data/.
        n: Studies.
        study: The outcome of a study, from its number alone.
        sources: Folders of analysis/ on whose code the outcomes depend.
        rounding: Relative difference that another type of processor may make.
    """

    name: str
    n: int
    study: Callable[[int], Outcome]
    sources: tuple[str, ...]
    rounding: float = 1e-6

    @property
    def file(self) -> Path:
        """Where the outcomes are."""
        return DATA / f"{self.name}.json"

    def outcomes(self) -> list[Outcome]:
        """What is stored, a row per study."""
        rows: list[Outcome] = json.loads(self.file.read_text(encoding="utf-8"))
        assert len(rows) == self.n, f"{self.file.name} holds {len(rows)} studies, not {self.n}"
        return rows

    def write(self) -> None:
        """Compute all studies and store them, a line each."""
        with ProcessPoolExecutor(2) as pool:
            rows = pool.map(self.study, range(self.n))
            lines = ",\n".join(json.dumps(row) for row in rows)
        self.file.write_text(f"[\n{lines}\n]\n", encoding="utf-8")

    def part(self, size: int) -> list[int]:
        """Some studies, drawn by a digest of the sources: others whenever these change."""
        digest = hashlib.sha256()
        for folder in self.sources:
            for path in sorted((ANALYSIS / folder).glob("*.py")):
                digest.update(path.read_bytes())
        rng = np.random.default_rng(int(digest.hexdigest()[:16], 16))
        return sorted(rng.choice(self.n, size, replace=False).tolist())

    def stale(self, size: int) -> list[str]:
        """What of a part of that size differs from what is computed now, beyond `rounding`."""
        kept, found = self.outcomes(), list[str]()
        for number in self.part(size):
            now = self.study(number)
            if now != pytest.approx(kept[number], rel=self.rounding, abs=0.0):
                found.append(f"{self.name}, study {number}: {kept[number]} stored, {now} now")
        return found


def main(names: list[str]) -> None:
    """Compute the calibrations of these names, all without one."""
    for holder in HOLDERS:
        for each in import_module(f"tests.statistical.{holder}").STORED:
            if not names or each.name in names:
                each.write()
                print(each.file)


if __name__ == "__main__":
    main(sys.argv[1:])

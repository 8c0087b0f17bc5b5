"""A user's own operation, given by its table: a group, a quasigroup, or anything closed."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.maths.examples import AnsweredTask, all_tuples
from observatory.maths.groups import check_closed, group_of


def read_table(path: Path) -> list[list[int]]:
    """The rows of a `.csv` (commas, no header) or `.npy` file of integers.

    Raises:
        ConfigError: If the file is missing, of another kind, or holds anything but integers.
    """
    if path.suffix not in (".csv", ".npy"):
        raise ConfigError(f"`path` must end in .csv or .npy, got {path}. Convert the table.")
    try:
        if path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
            if array.dtype.kind not in "iu" or array.ndim != 2:
                raise ValueError(f"{array.dtype} of shape {list(array.shape)}")
            return array.tolist()
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return [[int(cell) for cell in row] for row in csv.reader(lines) if row]
    except OSError as error:
        raise ConfigError(
            f"`path` must be a file that can be read, got {path} ({error.strerror or error}). "
            "Correct the path."
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"`path` must hold a table of integers, got {path} ({error}). Number the elements "
            "from 0 and leave out headers."
        ) from error


def table_of(rows: Sequence[Any]) -> Int[Tensor, "element element"]:
    """The table of rows of integers.

    Raises:
        ConfigError: If it is not square, or an entry is no element.
    """
    lengths = {len(row) if isinstance(row, Sequence) else 1 for row in rows}
    if len(rows) < 2 or lengths != {len(rows)}:
        raise ConfigError(
            f"`table` must be square with 2 rows at least, got {len(rows)} rows of lengths "
            f"{sorted(lengths)}. Give one row and one column for every element."
        )
    for x, row in enumerate(rows):
        for y, entry in enumerate(row):
            if not isinstance(entry, int):
                raise ConfigError(
                    f"`table` must hold integers, got {entry!r} in row {x}, column {y}. "
                    "Number the elements from 0."
                )
    table = torch.tensor(rows)
    check_closed(table)
    return table


@final
class CayleyTable(AnsweredTask):
    """All ordered pairs (x, y) under a given operation: row x, column y of a table.

    Args:
        table: The rows of the table, or None where `path` is given.
        path: A `.csv` or `.npy` file with the table, or None where `table` is given.
        group: Whether the table claims to be a group's. Then this is verified, and the group is
            the attribute `group`, which is None otherwise.
        random_labels: Replace the answers by uniform random ones drawn once per replica seed.
    """

    def __init__(
        self,
        *,
        table: Sequence[Any] | None,
        path: str | None,
        group: bool,
        random_labels: bool,
    ) -> None:
        if (table is None) == (path is None):
            raise ConfigError(
                "`task` must have a `table` or a `path`, got "
                f"{'neither' if table is None else 'both'}. Set the other one to null."
            )
        rows = table if table is not None else read_table(Path(str(path)))
        answers = table_of(rows)
        self.group = group_of("user's table", answers) if group else None
        super().__init__(
            all_tuples(len(answers), 2),
            answers.flatten(),
            n_symbols=len(answers),
            n_classes=len(answers),
            negative=None,
            random_labels=random_labels,
            group=answers if group else None,
        )

"""Complete states of replicas as rows of a table, and back."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from observatory.core.columns import Column, Dtype
from observatory.core.contracts import Masked, Measurement, Optimizer
from observatory.core.errors import ConfigError
from observatory.fleet.state import ReplicaStates
from observatory.fleet.step import DTYPES
from observatory.store.parameters import PARAMETERS, parameters_column

_DTYPES: dict[torch.dtype, Dtype] = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.int64: "int64",
    torch.bool: "bool",
    **dict.fromkeys((torch.float16, torch.bfloat16), "float32"),
    **dict.fromkeys((torch.int32, torch.int16, torch.int8, torch.uint8), "int64"),
}
"""Type of a column that holds every value of a tensor."""
_WORDS = torch.Generator().get_state().numel() // 8
"""64-bit words of the state of a generator."""


def _empty_state(optimizer: Optimizer, n_params: int, dtype: str) -> dict[str, Tensor]:
    return optimizer.init(torch.zeros(1, n_params, dtype=DTYPES[dtype]))


def state_bytes(optimizer: Optimizer, n_params: int, dtype: str, n_train: int) -> int:
    """Bytes of a state, before the files compress them and without what evaluations saw."""
    moments = sum(value.nbytes for value in _empty_state(optimizer, n_params, dtype).values())
    return DTYPES[dtype].itemsize * n_params + moments + 8 * (n_train + _WORDS)


def state_columns(optimizer: Optimizer, n_params: int, dtype: str) -> tuple[Column, ...]:
    """Columns of the table of kept states, of a fleet that trains `n_params` parameters in `dtype`.

    Raises:
        ConfigError: If the optimizer has a state that no column holds.
    """
    of_optimizer = [
        Column(
            name=_column(name),
            unit="1",
            dtype=_dtype(name, value),
            dims=("param",) if value.ndim > 1 else (),
            meaning=f"`{name}` of the optimizer's state, flat",
        )
        for name, value in _empty_state(optimizer, n_params, dtype).items()
    ]
    return (
        parameters_column(dtype),
        *of_optimizer,
        Column(
            name="order",
            unit="-",
            dtype="int64",
            dims=("sample",),
            meaning="train examples in the order of the epoch; the step gives the place in it",
        ),
        Column(
            name="generator",
            unit="-",
            dtype="int64",
            dims=("draw",),
            meaning="state of the generator that shuffles them, as 64-bit words",
        ),
        Column(name="home", unit="-", dtype="int64", meaning="slot in which the replica started"),
        Column(
            name="diverged_step",
            unit="steps",
            dtype="int64",
            meaning="step of the first non-finite loss or parameter",
        ),
        Column(
            name="looks",
            unit="-",
            dtype="string",
            meaning="evaluations so far: steps, train and val accuracies, as JSON",
        ),
    )


def to_rows(states: ReplicaStates) -> Measurement:
    """States as rows of the table."""
    return {
        PARAMETERS: states.flat,
        **{
            _column(name): value.flatten(start_dim=1) if value.ndim > 1 else value
            for name, value in states.optimizer.items()
        },
        "order": states.order,
        "generator": states.generator.view(torch.int64),
        "home": torch.tensor(states.home),
        "diverged_step": Masked.of(states.diverged_step, torch.int64),
        "looks": [json.dumps(looks) for looks in states.looks],
    }


def from_rows(
    rows: pd.DataFrame, optimizer: Optimizer | None, dtype: torch.dtype | None = None
) -> ReplicaStates:
    """The inverse of `to_rows`.

    Args:
        rows: Of the table.
        optimizer: Of the run; gives its state the shapes that it has there. None: its state is
            left out.
        dtype: Of parameters and optimizer; None: as they were stored.
    """
    flat = _stacked(rows[PARAMETERS]).to(dtype)
    fresh = {} if optimizer is None else optimizer.init(torch.zeros_like(flat))
    return ReplicaStates(
        replica=rows["replica"].tolist(),
        step=rows["step"].tolist(),
        home=rows["home"].tolist(),
        diverged_step=[None if pd.isna(step) else int(step) for step in rows["diverged_step"]],
        looks=[json.loads(looks) for looks in rows["looks"]],
        flat=flat,
        optimizer={
            name: _stacked(rows[_column(name)]).to(value.dtype).reshape(value.shape)
            for name, value in fresh.items()
        },
        order=_stacked(rows["order"]),
        generator=_stacked(rows["generator"]).view(torch.uint8),
    )


def _column(name: str) -> str:
    return f"optimizer_{name.replace('.', '_')}"


def _dtype(name: str, value: Tensor) -> Dtype:
    if value.dtype not in _DTYPES:
        raise ConfigError(
            "`store.states` must be null with this optimizer: its state "
            f"`{name}` is {value.dtype}, and a table holds {', '.join(map(str, _DTYPES))}."
        )
    return _DTYPES[value.dtype]


def _stacked(cells: Iterable[Any]) -> Tensor:
    return torch.from_numpy(np.stack([np.asarray(cell) for cell in cells]))

"""A look that needs no capture: the norm of every parameter, and the mean output."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from observatory.core.columns import Column
from observatory.watch import observer
from observatory.watch.quiet import untouched


@dataclass(frozen=True)
class Table:
    columns: tuple[Column, ...]
    values: dict[str, Any]


class Snapshot:
    layers = ("0",)
    groups = ("all",)
    matrices = ("W",)

    def __init__(self, norms: torch.Tensor, mean: torch.Tensor) -> None:
        norm = Column(name="norm", unit="1", meaning="per parameter", dims=("param",))
        column = Column(name="mean", unit="1", meaning="of the output")
        self.tables = {"stand_in": Table((norm, column), {"norm": norms[None], "mean": mean[None]})}

    def scalars(self) -> dict[str, float]:
        return {"stand_in/mean": float(self.tables["stand_in"].values["mean"][0])}


def probe(model: nn.Module, batch: Any, **options: Any) -> Snapshot:
    with untouched(model):
        out = model(batch)
    norms = torch.stack([p.detach().double().norm() for p in model.parameters()])
    return Snapshot(norms, out.double().mean())


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "probe", probe)

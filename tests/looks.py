"""A look that needs no capture: the norm of every parameter, and the mean output."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.tensor import DTensor

from observatory.core.columns import Column
from observatory.watch.online import observer
from observatory.watch.reading.forward import call_model
from observatory.watch.reading.quiet import untouched
from observatory.watch.snapshot import Snapshot
from observatory.watch.tables import Table

COLUMNS = (
    Column(name="norm", unit="1", meaning="per parameter", dims=("param",)),
    Column(name="mean", unit="1", meaning="of the output"),
)


class Instrument:
    """As the one of `observatory.watch.instrument`, for any model."""

    def __init__(self, model: nn.Module, batch: Any, **options: Any) -> None:
        self.model, self.batch = model, batch

    def look(self, probes: Any) -> Snapshot:
        with untouched(self.model):
            out = call_model(self.model, self.batch)
            out = out["logits"] if isinstance(out, dict) else out
        whole = (p.full_tensor() if isinstance(p, DTensor) else p for p in self.model.parameters())
        norms = torch.stack([p.detach().double().norm() for p in whole])
        values = {
            "norm": norms[None],
            "mean": out.double().mean()[None],
        }
        return Snapshot(
            tables={"stand_in": Table(COLUMNS, values)},
            found=(),
            patterns={},
            layers={"stand_in": ("0",)},
            matrices=("W",),
            groups=("all",),
            without_attention=(),
            output=out,
        )


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "Instrument", Instrument)

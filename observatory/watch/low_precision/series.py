"""What low precision would do to a model as it trains: when it is asked, and its table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from observatory.core.columns import Column
from observatory.core.contracts import Masked
from observatory.core.schedule import Every, Schedule
from observatory.watch.low_precision.look import (
    LowPrecision,
    Scope,
    low_precision,
    named_transforms,
    settings,
)
from observatory.watch.reading.forward import Batch
from observatory.watch.tables import Table

TABLE = "low_precision"
_CHANGES = {  # name: meaning
    "loss_change": "change of the loss where the operands of products are transformed",
    "loss_change_se": "its standard error over sequences, paired",
    "noise_change": "change of the loss by noise of the same size at the same places",
    "noise_change_se": "its standard error over sequences, paired",
}
_SCOPES: dict[Scope, tuple[str, str]] = {
    "all": ("", "of all products"),
    "without readout": ("_without_readout", "of all products but the readout"),
}
_ERRORS = {
    "output_error_median": "median over products, changed one by one, of the relative error",
    "output_error_max": "largest of these errors",
}
LOW_PRECISION_COLUMNS = (
    Column(name="loss", unit="nats", meaning="loss of the model as it is, mean over the labels"),
    *(
        Column(
            name=f"{name}{suffix}",
            unit="nats",
            meaning=f"{meaning}, {where}; of each transform",
            dims=("transform",),
        )
        for suffix, where in _SCOPES.values()
        for name, meaning in _CHANGES.items()
    ),
    *(
        Column(name=name, unit="1", meaning=f"{meaning}; of each transform", dims=("transform",))
        for name, meaning in _ERRORS.items()
    ),
)


@final
@dataclass(frozen=True)
class LowPrecisionLooks:
    """When a training is asked what low precision would do, and how.

    Args:
        every: At the first look from each of these steps on: a schedule, or a number of steps.
        labels: See `low_precision`: of the probe batch, "next_token", or None for errors alone.
        transforms: Names of conf/low_precision/transforms.yaml; None: its `at_looks`.

    Raises:
        ConfigError: If there is no transform of a name.

    Example:
        >>> LowPrecisionLooks(every=500, labels="next_token").names[0]
        'int8_token'
    """

    every: Schedule | int
    labels: Tensor | Literal["next_token"] | None = None
    transforms: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        named_transforms(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The transforms, in the order of the table."""
        return tuple(settings()["at_looks"] if self.transforms is None else self.transforms)

    @property
    def schedule(self) -> Schedule:
        """When it is asked."""
        return Every(self.every) if isinstance(self.every, int) else self.every

    def about(self) -> dict[str, Any]:
        """What the manifest says of it."""
        labels = self.labels if self.labels is None or isinstance(self.labels, str) else "given"
        return {"every": repr(self.schedule), "labels": labels, "transforms": list(self.names)}

    def table(
        self,
        model: nn.Module,
        batch: Batch,
        forward: Callable[[nn.Module, Any], Any] | None = None,
    ) -> Table:
        """The row of a look; raises as `low_precision` does."""
        found = low_precision(
            model, batch, labels=self.labels, transforms=list(self.names), forward=forward
        )
        return table_of(found, self.names)


def table_of(found: LowPrecision, names: tuple[str, ...]) -> Table:
    """What was found as one row; entries of a list are the transforms by `names`."""
    loss = None if found.loss is None else _numbers([found.loss])
    errors = [_numbers([error.output for error in found.errors[name]]) for name in names]
    changes: dict[str, Tensor | Masked | None] = {}
    for scope, (suffix, _) in _SCOPES.items():
        pairs = [found.changes.get((name, scope)) for name in names]
        for place, kind in enumerate(("loss_change", "noise_change")):
            each = [None if pair is None else pair[place] for pair in pairs]
            changes[f"{kind}{suffix}"] = _masked([e and e.mean for e in each])
            changes[f"{kind}_se{suffix}"] = _masked([e and e.se for e in each])
    return Table(
        LOW_PRECISION_COLUMNS,
        {
            "loss": loss,
            **changes,
            "output_error_median": torch.stack([each.quantile(0.5) for each in errors])[None],
            "output_error_max": torch.stack([each.max() for each in errors])[None],
        },
    )


def _numbers(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _masked(values: list[float | None]) -> Masked:
    numbers = Masked.of(values, torch.float64)
    return Masked(numbers.values[None], numbers.defined[None])

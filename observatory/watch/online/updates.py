"""How large gradients are before anything clips them, and how far a step then moves the weights."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement
from observatory.maths.norms import parameter_groups
from observatory.watch.tables import Table

UPDATE_COLUMNS = tuple(
    column
    for name, of in {
        "grad_l2": "the gradient of {}, unclipped",
        "update_l2": "what the step added to {}",
    }.items()
    for column in (
        Column(name=name, unit="1", meaning=f"L2 norm of {of.format('all weights')}"),
        Column(
            name=f"{name}_group",
            unit="1",
            meaning=f"L2 norm of {of.format('each parameter group')}, by the manifest's `groups`",
            dims=("group",),
        ),
    )
)


@final
class Updates:
    """Gradients of one step, and the weights before it.

    Args:
        model: Between its backward pass and the step of its optimizer.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._gradients = {
            name: None if each.grad is None else _square(each.grad)
            for name, each in model.named_parameters()
        }
        self._before = {name: each.detach().clone() for name, each in model.named_parameters()}

    def table(self) -> Table:
        """Both norms, now that the step was made; a group without any gradient is undefined."""
        moved = {
            name: _square(each.detach() - self._before[name])
            for name, each in self._model.named_parameters()
        }
        row: Measurement = {**_norms("grad_l2", self._gradients), **_norms("update_l2", moved)}
        return Table(UPDATE_COLUMNS, row)


def _square(values: Tensor) -> Tensor:
    """Sum of squares, float64; rows are summed in the precision of float32 first."""
    values = values.detach()
    if values.ndim < 2:
        return values.double().square().sum()
    rows = torch.linalg.vector_norm(values.flatten(start_dim=1).float(), dim=1)
    return rows.double().square().sum()


def _norms(name: str, squares: Mapping[str, Tensor | None]) -> dict[str, Tensor | Masked]:
    groups = [
        [found for each in names if (found := squares[each]) is not None]
        for names in parameter_groups(squares).values()
    ]
    sums = [torch.stack(group).sum() if group else torch.zeros(()).double() for group in groups]
    each = torch.stack([total.cpu() for total in sums])
    defined = torch.tensor([bool(group) for group in groups])
    return {
        name: each.sum().sqrt()[None],
        f"{name}_group": Masked(each.sqrt()[None], defined[None]),
    }

r"""The loss on the straight line between where a network was and where it is.

Letters: theta_0 where it was, theta where it is, s the part of the way, L the mean loss.
"""

from collections.abc import Callable
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.layout import Params
from observatory.core.settings import Size, check_arguments
from observatory.core.view import EveryExample, FleetView
from observatory.maths.answer_logits import alone, every_example, some_examples


def on_segment(
    losses: Callable[[Params], Float[Tensor, " batch"]], one: Params, other: Params, points: int
) -> Float[Tensor, "point batch"]:
    r"""Losses at $\theta_0 + s (\theta - \theta_0)$, s at equal distances from 0 to 1.

    Args:
        losses: Of every example, from parameters.
        one: theta_0.
        other: theta.
        points: How many values of s, the ends among them.
    """
    ways = torch.linspace(0, 1, points, dtype=torch.float64).tolist()
    return torch.stack(
        [losses({n: at.lerp(other[n], way) for n, at in one.items()}) for way in ways]
    )


def barrier(losses: Float[Tensor, "*replica point"]) -> Float[Tensor, "*replica"]:
    r"""$\max_s\, L(s) - (1 - s) L(0) - s L(1)$, 0 at least: how far the loss rises above the chord.

    Source:
        Linear mode connectivity: Frankle et al. (2020), arXiv:1912.05671. Deviation: above the
        chord, not above the mean of the ends, which differ along a training.

    Example:
        >>> barrier(torch.tensor([[0.0, 2.0, 2.0], [2.0, 0.0, 0.0]]))
        tensor([1., 0.])
    """
    s = torch.linspace(0, 1, losses.shape[-1], dtype=losses.dtype, device=losses.device)
    ends = losses[..., :1], losses[..., -1:]
    above = losses - (ends[0] + s * (ends[1] - ends[0]))
    above = torch.cat([torch.zeros_like(ends[0]), above[..., 1:-1]], dim=-1)
    return above.amax(dim=-1) + losses.sum(dim=-1) * 0  # a loss that is not finite has no barrier


@final
class Segment(Probe):
    """Writes the losses on train and val examples on the way from the start, and their barriers.

    Args:
        points: On the way, both ends among them.
        most_examples: Examples of the task, train and val together.
        seed: Of their order.
    """

    columns: ClassVar[tuple[Column, ...]] = tuple(
        column
        for which in ("train", "val")
        for column in (
            Column(name=f"{which}_losses", unit="1", meaning=f"mean loss of the {which} "
                   "examples looked at, at equal distances on the straight line from the start to "
                   "the parameters now",
                   dims=("point",)),
            Column(name=f"{which}_barrier", unit="1", meaning=f"how far that {which} loss rises "
                   "above the chord between the ends of that line, 0 at least"),
        )
    )  # fmt: skip

    def __init__(self, *, points: Size, most_examples: Size, seed: int) -> None:
        check_arguments(Segment, points=points, most_examples=most_examples)
        self.points, self.most_examples, self.seed = max(points, 3), most_examples, seed

    def measure(self, view: FleetView) -> Measurement:
        """See `on_segment` and `barrier`, in float64.

        Source:
            Slices of the loss along a training: arXiv:2306.13253; Goodfellow et al. (2015),
            arXiv:1412.6544. Deviation: none.
        """
        everything = every_example(view, "segment")
        some = some_examples(everything, self.most_examples, self.seed)
        in_train = everything.in_train[:, some]
        losses = torch.stack([self._of_one(everything, view.params, r, some)
                              for r in range(len(view.replica))])  # fmt: skip
        found: dict[str, Tensor | Masked | None] = {}
        for which, counted in (("train", in_train), ("val", ~in_train)):
            means, defined = _mean_of(losses, counted)
            found[f"{which}_losses"] = Masked(means, defined)
            found[f"{which}_barrier"] = Masked(barrier(means), defined)
        return found

    def _of_one(
        self, everything: EveryExample, params: Params, r: int, some: Tensor
    ) -> Float[Tensor, "point batch"]:
        ends = [alone(stack, r, torch.float64) for stack in (everything.start, params)]
        inputs, labels = everything.inputs[some][None], everything.labels[r, some][None]
        in_train = everything.in_train[r, some][None]

        def losses(at: Params) -> Float[Tensor, " batch"]:
            z = everything.logits(at, inputs)
            of_train, of_val = (everything.losses(z, labels, s) for s in (in_train, ~in_train))
            return of_train.where(in_train, of_val)[0]

        return on_segment(losses, ends[0], ends[1], self.points)


def _mean_of(
    losses: Float[Tensor, "replica point batch"], counted: Bool[Tensor, "replica batch"]
) -> tuple[Float[Tensor, "replica point"], Bool[Tensor, " replica"]]:
    """Mean over the examples that count, and whether there are any."""
    n = counted.sum(dim=1)
    total = losses.where(counted[:, None], 0.0).sum(dim=2)
    return total / n.clamp(min=1)[:, None], n > 0

r"""How far a network has moved from its start, a sketch of where it is, and the loss on the way.

Letters: theta the parameters, theta_0 those at step 0, s the part of the way, L the mean loss.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.layout import Params
from observatory.core.settings import Size, check_arguments
from observatory.core.view import EveryExample, FleetView
from observatory.maths.activations import activation
from observatory.maths.answer_logits import alone, every_example, some_examples
from observatory.maths.matrices import matrix_names


def angle(one: Float[Tensor, "replica param"], other: Float[Tensor, "replica param"]) -> Masked:
    r"""Angle between two rows in degrees, $2 \arctan(\lVert u - v \rVert / \lVert u + v \rVert)$.

    Of unit vectors u, v: small angles keep their digits, which an arc cosine loses. Undefined where
    either row is zero.

    Source:
        Angular displacement: arXiv:2605.18845. Deviation: from the start, not from memorising.
    """
    sizes = [each.norm(dim=1, keepdim=True) for each in (one, other)]
    u, v = one / sizes[0], other / sizes[1]
    degrees = torch.rad2deg(2 * torch.atan2((u - v).norm(dim=1), (u + v).norm(dim=1)))
    return Masked(degrees, ((sizes[0] != 0) & (sizes[1] != 0))[:, 0])


def cka(
    one: Float[Tensor, "replica batch d_model"], other: Float[Tensor, "replica batch _"]
) -> Masked:
    r"""Linear kernel alignment of two sets of vectors, X and Y, centred over examples.

    $\lVert X^\top Y \rVert_F^2 / (\lVert X^\top X \rVert_F \lVert Y^\top Y \rVert_F)$; undefined
    where all vectors of either are equal.

    Source:
        Kornblith et al. (2019), arXiv:1905.00414.
    """
    x, y = (each - each.mean(dim=1, keepdim=True) for each in (one, other))
    norms = [(a.mT @ b).square().sum(dim=(1, 2)) for a, b in ((x, y), (x, x), (y, y))]
    sizes = (norms[1] * norms[2]).sqrt()
    return Masked(norms[0] / sizes, sizes != 0)


def sketch(
    rows: Float[Tensor, "replica param"], draws: int, seed: int
) -> Float[Tensor, "replica draw"]:
    """Count sketch: every entry is added to one of `draws` sums, with a random sign.

    Inner products of sketches are those of the rows in expectation, with a relative standard
    deviation of about sqrt(2 / draws): the principal components of a trajectory follow from its
    sketches. The same signs and places for every replica, step and run of as many parameters.

    Source:
        Charikar, Chen and Farach-Colton (2002); projections of trajectories: arXiv:2602.16967.
    """
    places, signs = _drawn(rows.shape[1], draws, seed)
    made = rows.new_zeros(len(rows), draws)
    made.index_add_(1, places.to(rows.device), rows * signs.to(rows))
    return made + rows.sum(dim=1, keepdim=True) * 0  # a sum of nothing is not finite either


@lru_cache(maxsize=2)
def _drawn(n: int, draws: int, seed: int) -> tuple[Int[Tensor, " param"], Float[Tensor, " param"]]:
    rng = torch.Generator().manual_seed(seed)
    places = torch.randint(draws, (n,), generator=rng)
    return places, 2.0 * torch.randint(2, (n,), generator=rng).double() - 1


def flat(params: Params) -> Float[Tensor, "replica param"]:
    """All parameters of every replica in a row, float64."""
    return torch.cat([stack.double().flatten(start_dim=1) for stack in params.values()], dim=1)


@final
class Trajectory(Probe):
    """Writes `angle`, `cka` and `sketch` of a network against its own start.

    Args:
        draws: Numbers of a sketch.
        seed: Of its places and signs.
        most_examples: Probe examples on which activations are compared.
    """

    needs = (("final",),)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="angle", unit="degrees", meaning="angle between all parameters now and at the "
               "start"),
        Column(name="angle_matrix", unit="degrees", meaning="the same of each weight matrix, in "
               "the order of the manifest's `matrices`", dims=("matrix",)),
        Column(name="displacement", unit="1", meaning="L2 distance of all parameters from the "
               "start over their norm at the start"),
        Column(name="cka_start", unit="1", meaning="linear kernel alignment of what the readout "
               "reads now and at the start, 0-1"),
        Column(name="sketch", unit="1", meaning="count sketch of the parameters less those at the "
               "start: inner products of sketches are those of displacements", dims=("draw",)),
    )  # fmt: skip

    def __init__(self, *, draws: Size, seed: int, most_examples: Size) -> None:
        check_arguments(Trajectory, draws=draws, most_examples=most_examples)
        self.draws, self.seed, self.most_examples = draws, seed, most_examples

    def measure(self, view: FleetView) -> Measurement:
        """The columns of every replica of the view."""
        everything = every_example(view, "trajectory")
        start, now = everything.start, flat(view.params)
        before = flat(start)
        moved, size = now - before, before.norm(dim=1)
        final = activation(view.activations, "final")[:, : self.most_examples].double()
        first = everything.activations(start, view.inputs[: self.most_examples])["final"].double()
        angles = [
            angle(view.params[name].double().flatten(1), start[name].double().flatten(1))
            for name in matrix_names(view.params, view.weights)
        ]
        return {
            "angle": angle(now, before),
            "angle_matrix": Masked(
                torch.stack([each.values for each in angles], dim=1),
                torch.stack([each.defined for each in angles], dim=1),
            ),
            "displacement": Masked(moved.norm(dim=1) / size, size != 0),
            "cka_start": cka(final, first),
            "sketch": sketch(moved, self.draws, self.seed),
        }


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

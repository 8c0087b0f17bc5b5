r"""How far a network has moved from its start, and a sketch of where it is.

Letters: theta the parameters, theta_0 those at step 0.
"""

from functools import lru_cache
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.layout import Params
from observatory.core.settings import Size, check_arguments
from observatory.core.view import FleetView
from observatory.maths.activations import activation
from observatory.maths.answer_logits import every_example
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

r"""Local learning coefficient: how fast the volume of low loss around a network grows.

Letters: w* the network's parameters, L the mean train loss, n train examples, n beta an inverse
temperature. Chains w from w* sample $\exp(-n \beta L(w) - \gamma \lVert w - w^* \rVert^2 / 2)$:
$\hat\lambda = n \beta (\langle L(w) \rangle - L(w^*))$.

Absolute values move with the settings of the chains: compare looks and networks under one setting.
A chain that has not settled gives no number; `unchecked` and the checks say what it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe, Rows
from observatory.core.settings import Positive, Size, check_arguments
from observatory.core.view import FleetView
from observatory.maths.answer_logits import alone, every_example

BatchLosses = Callable[[Rows, Tensor], Float[Tensor, " replica"]]
"""Mean loss of every row on a batch, which is given as places in [0, 1) of the train examples."""


@final
@dataclass(frozen=True)
class Chains:
    """Settings of the chains of stochastic gradient Langevin dynamics."""

    chains: int  # per replica
    steps: int  # of each
    burn_in: int  # steps of each that are left out of the mean
    lr: float  # epsilon
    localisation: float  # gamma
    batch: int  # train examples of a step
    seed: int


def sample(losses: BatchLosses, rows: Rows, n_beta: float, chains: Chains) -> Tensor:
    r"""Losses along the chains, all replicas and chains as one stack.

    $w \leftarrow w - \frac{\epsilon}{2} (n \beta \nabla L(w) + \gamma (w - w^*)) + N(0, \epsilon)$.
    Noise and batches of a chain are the same for every replica.

    Args:
        losses: Of the stacked rows, `chains` of a replica next to each other.
        rows: w* of every replica.
        n_beta: n beta.
        chains: Settings.

    Returns:
        Losses before every step after the burn-in, `[replica, chain, draw]`.
    """
    rng = torch.Generator().manual_seed(chains.seed)
    home = rows.repeat_interleave(chains.chains, dim=0)
    here, kept = home.clone(), list[Tensor]()
    for step in range(chains.steps):
        places = torch.rand(chains.chains, chains.batch, generator=rng, dtype=torch.float64)
        noise = torch.randn(chains.chains, rows.shape[1], generator=rng, dtype=rows.dtype)
        with torch.enable_grad():
            leaf = here.detach().requires_grad_()
            found = losses(leaf, places.repeat(len(rows), 1))
            (gradient,) = torch.autograd.grad(found.sum(), leaf)
        if step >= chains.burn_in:
            kept.append(found.detach())
        pull = n_beta * gradient + chains.localisation * (here - home)
        shaken = noise.to(rows.device).repeat(len(rows), 1)
        here = here - chains.lr / 2 * pull + chains.lr**0.5 * shaken
    return torch.stack(kept, dim=1).unflatten(0, (len(rows), chains.chains))


def r_hat(traces: Float[Tensor, "replica chain draw"]) -> Float[Tensor, " replica"]:
    r"""Potential scale reduction of the halves of all chains: 1 where they agree.

    Source:
        Gelman et al., Bayesian Data Analysis, split R-hat.
    """
    half = traces.shape[2] // 2
    parts = torch.cat([traces[:, :, :half], traces[:, :, -half:]], dim=1)
    within = parts.var(dim=2).mean(dim=1)
    between = parts.mean(dim=2).var(dim=1)
    return (((half - 1) / half * within + between) / within).sqrt()


def drift(traces: Float[Tensor, "replica chain draw"]) -> Float[Tensor, " replica"]:
    """Mean of the second half less that of the first, over the standard deviation of all."""
    half = traces.shape[2] // 2
    ends = traces[:, :, -half:].mean(dim=(1, 2)) - traces[:, :, :half].mean(dim=(1, 2))
    return ends / traces.flatten(1).std(dim=1)


def learning_coefficient(
    traces: Float[Tensor, "replica chain draw"],
    at_home: Float[Tensor, " replica"],
    n_beta: float,
    most_r_hat: float,
    most_drift: float,
) -> dict[str, Tensor | Masked]:
    """The coefficient where the chains are sound, and what was checked.

    Args:
        traces: Losses along the chains.
        at_home: L(w*).
        n_beta: n beta.
        most_r_hat: Refused above.
        most_drift: Refused beyond, either way.

    Returns:
        `coefficient`, undefined where it is refused or negative; `se`, between chains; `unchecked`,
        the same number whatever the checks say; `r_hat` and `drift`.

    Source:
        Lau et al. (2023), arXiv:2308.12108. Deviation: refused, not only reported.
    """
    each = n_beta * (traces.mean(dim=2) - at_home[:, None])
    found, spread, moved = each.mean(dim=1), r_hat(traces), drift(traces)
    sound = (spread <= most_r_hat) & (moved.abs() <= most_drift) & (found >= 0)
    spoilt = ~at_home.isfinite()  # of a diverged network: NaN, not refused
    return {
        "coefficient": Masked(found, sound | spoilt),
        "se": each.std(dim=1) / each.shape[1] ** 0.5,
        "unchecked": found,
        "r_hat": spread,
        "drift": moved,
    }


@final
class LearningCoefficient(Probe):
    """Writes `learning_coefficient` of every replica.

    Args:
        chains: Per replica, 2 at least.
        steps: Of each chain.
        burn_in: Steps of each that are left out.
        lr: Step of the chains.
        localisation: Pull back to the network.
        batch: Train examples of a step.
        n_beta: Inverse temperature; None for n / ln n.
        most_r_hat: Refused above.
        most_drift: Refused beyond, either way.
        seed: Of noise and batches.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="coefficient", unit="1", meaning="local learning coefficient, refused where "
               "its chains are not sound"),
        Column(name="se", unit="1", meaning="its standard error between chains"),
        Column(name="unchecked", unit="1", meaning="the coefficient whatever the checks of its "
               "chains say"),
        Column(name="r_hat", unit="1", meaning="split R-hat of the losses along the chains"),
        Column(name="drift", unit="1", meaning="mean loss of the second half of the chains less "
               "that of the first, over the standard deviation"),
    )  # fmt: skip

    def __init__(
        self, *, chains: Size, steps: Size, burn_in: Size, lr: Positive, localisation: Positive,
        batch: Size, n_beta: Positive | None, most_r_hat: Positive, most_drift: Positive, seed: int,
    ) -> None:  # fmt: skip
        check_arguments(LearningCoefficient, chains=chains, steps=steps, burn_in=burn_in, lr=lr)
        check_arguments(LearningCoefficient, most_r_hat=most_r_hat, most_drift=most_drift)
        self.chains = Chains(
            max(chains, 2), max(steps, burn_in + 4), burn_in, lr, localisation, batch, seed
        )
        self.n_beta, self.most_r_hat, self.most_drift = n_beta, most_r_hat, most_drift

    def measure(self, view: FleetView) -> Measurement:
        """See `sample` and `learning_coefficient`, in float64, one replica's chains at a time."""
        everything = every_example(view, "learning_coefficient")
        found = []
        for r in range(len(view.replica)):
            train = everything.in_train[r].nonzero().flatten()
            inputs, labels = everything.inputs[train], everything.labels[r][train]
            params = alone(view.params, r, torch.float64)
            row = torch.cat([stack.flatten(1) for stack in params.values()], dim=1)
            shapes = {name: stack.shape[1:] for name, stack in params.items()}

            def losses(leaf: Rows, places: Tensor) -> Tensor:
                at = (places.to(train.device) * len(train)).long()  # noqa: B023
                pieces = leaf.split([shape.numel() for shape in shapes.values()], dim=1)  # noqa: B023
                named = {
                    name: piece.unflatten(1, shape) if len(shape) > 1 else piece
                    for piece, (name, shape) in zip(pieces, shapes.items(), strict=True)  # noqa: B023
                }
                logits = everything.logits(named, inputs[at])  # noqa: B023
                return everything.losses(logits, labels[at]).mean(dim=1)  # noqa: B023

            n = max(len(train), 3)
            n_beta = n / float(torch.tensor(float(n)).log()) if self.n_beta is None else self.n_beta
            logits = everything.logits(params, inputs[None])
            at_home = everything.losses(logits, labels[None]).mean(dim=1)
            traces = sample(losses, row, n_beta, self.chains)
            found.append(
                learning_coefficient(traces, at_home, n_beta, self.most_r_hat, self.most_drift)
            )
        return {column.name: _joined([f[column.name] for f in found]) for column in self.columns}


def _joined(entries: list[Tensor | Masked]) -> Tensor | Masked:
    whole = [e if isinstance(e, Masked) else Masked(e, torch.ones_like(e) > 0) for e in entries]
    return Masked(
        torch.cat([each.values for each in whole]), torch.cat([each.defined for each in whole])
    )

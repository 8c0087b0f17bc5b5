"""Exponentiated gradient: weights are multiplied, so that none ever changes its sign."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, final

import torch

from observatory.core.contracts import Hyper, Optimizer, Rows
from observatory.core.errors import ConfigError
from observatory.core.layout import MATRICES, Params, Role
from observatory.core.settings import Positive, check_arguments, known_name
from observatory.maths.decay import kept
from observatory.maths.nesting import nest, nested

SMALLEST, LARGEST_EXPONENT = 1e-18, 1.0
"""Smallest size of a weight, since 0 is never left, and of the exponent of one step."""


def multiplied(flat: Rows, steps: Rows) -> Rows:
    """Weights times exp(sign(w) step): to first order of the step, w + |w| step.

    Args:
        flat: Weights.
        steps: What an additive optimizer would add to them; the exponent is kept within 1.

    Returns:
        Weights of the same signs, of at least 1e-18 in size; zeros stay zeros.

    Source:
        arXiv:2510.02730, w exp(-lr sign(w) g). Deviation: the two bounds.

    Example:
        >>> multiplied(torch.tensor([[2.0, -2.0, 0.0]]), torch.full((1, 3), -0.1))
        tensor([[ 1.8097, -2.2103,  0.0000]])
    """
    signs = flat.sign()
    exponents = (signs * steps).clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT)
    return signs * (flat * exponents.exp()).abs().clamp(min=SMALLEST)


@final
class ExponentiatedGradient:
    """Multiplies weights by the exponential of the step that `inner` would add.

    A weight that starts positive stays so, and so does a negative one: Dale's law where all weights
    of a sending unit, a row of a matrix, start with one sign. What decay means is another thing
    here: in the logarithm of a weight it is a constant drift, and a weight survives only if its
    gradient pushes back as hard. A boundary under this rule and one under AdamW do not compare.

    Args:
        decay_form: "decoupled" multiplies by 1 - lr w, at least 0; "in_gradient" adds w sign(flat)
            to the gradient, which `inner` then sees.
        roles: Roles of the weights that it moves: "embedding", "hidden", "readout". Pointwise ones,
            many of which start at 0, cannot be.
        inner: Optimizer that makes the step: SGD for the plain rule, AdamW for its Adam form.
        rest: Optimizer of all other weights.
        rest_lr_ratio: Its learning rate over that of the others, positive.

    Raises:
        ConfigError: If no role, an unknown one or "pointwise" is given.

    Source:
        arXiv:2510.02730; decay decoupled in its AdamW form and in the gradient in its SGD form.
        Deviation: biases and gains follow `rest`, where the authors split each bias into two parts.
    """

    def __init__(
        self,
        *,
        decay_form: Literal["decoupled", "in_gradient"],
        roles: Sequence[Role],
        inner: Optimizer,
        rest: Optimizer,
        rest_lr_ratio: Positive,
    ) -> None:
        check_arguments(ExponentiatedGradient, decay_form=decay_form, rest_lr_ratio=rest_lr_ratio)
        if not roles:
            raise ConfigError(f"`roles` must name at least one of {list(MATRICES)}, got none.")
        for role in roles:
            known_name("roles", role, MATRICES)
        self.decay_form, self.roles = decay_form, tuple(roles)
        self.inner, self.rest, self.rest_lr_ratio = inner, rest, rest_lr_ratio

    def init(self, flat: Rows) -> Params:
        """The states of `inner` and of `rest`."""
        return {**nest("inner", self.inner.init(flat)), **nest("rest", self.rest.init(flat))}

    def update(self, flat: Rows, grads: Rows, state: Params, hyper: Hyper) -> None:
        """One step, in place on `flat` and `state`."""
        start, pull = flat, grads
        if self.decay_form == "decoupled":
            start = flat * kept(hyper).clamp(min=0)
        else:
            pull = (hyper.weight_decay.unsqueeze(1) * hyper.decays).mul(flat.sign()).add_(grads)
        steps = torch.zeros_like(flat)
        undecayed = replace(hyper, weight_decay=torch.zeros_like(hyper.weight_decay))
        self.inner.update(steps, pull, nested("inner", state), undecayed)
        after = multiplied(start, steps)
        # Where decay has left nothing, the weight is the smallest one of its sign.
        moved = hyper.layout.views(after.where(start != 0, SMALLEST * flat.sign()))
        slower = replace(hyper, lr=hyper.lr * self.rest_lr_ratio)
        self.rest.update(flat, grads, nested("rest", state), slower)
        weights = hyper.layout.views(flat)
        for name, role in zip(hyper.layout.names, hyper.layout.roles, strict=True):
            if role in self.roles:
                weights[name].copy_(moved[name])

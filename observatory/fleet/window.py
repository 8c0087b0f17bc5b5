"""What probes see of replicas at a look: parameters, examples, and activations when asked for."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import final

from jaxtyping import Int
from torch import Tensor, nn

from observatory.core.contracts import FastPath, Model
from observatory.core.layout import Layout, Weight
from observatory.core.view import FleetView
from observatory.fleet.activations import LazyActivations
from observatory.fleet.look import Look
from observatory.fleet.settings import FleetSettings
from observatory.fleet.stack import recorders


@final
class Window:
    """Opens a look for probes.

    Args:
        network: The prototype network.
        fast: Its fast path, if it has one that may be taken.
        layout: Of a flat row.
        weights: What the network declares of its parameters.
        inputs: Operands of the probe examples.
        settings: Of the fleet.
    """

    def __init__(
        self,
        network: nn.Module,
        fast: FastPath | None,
        layout: Layout,
        weights: Mapping[str, Weight],
        inputs: Int[Tensor, "batch pos"],
        settings: FleetSettings,
    ) -> None:
        assert isinstance(network, Model)
        self._recorders = partial(recorders, network, fast)
        self._names = ("logits", *network.hooks())
        self._layout, self._weights, self._inputs = layout, weights, inputs
        self._loss_dtype = settings.loss_dtype

    def __call__(self, look: Look, kinds: Collection[str] | None = None) -> FleetView:
        """The replicas of a look as probes receive them.

        Args:
            look: The look.
            kinds: Kinds of activations that the probes will ask for; None: any.
        """
        params = self._layout.views(look.flat)
        return FleetView(
            replica=look.replica,
            step=look.step,
            params=params,
            weights=self._weights,
            inputs=self._inputs,
            labels=look.labels,
            in_train=look.in_train,
            activations=LazyActivations(self._recorders(kinds), params, self._inputs, self._names),
            loss_dtype=self._loss_dtype,
        )

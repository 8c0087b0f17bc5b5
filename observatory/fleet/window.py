"""What probes see of replicas at a look: parameters, examples, and activations when asked for."""

from collections.abc import Collection
from functools import partial
from typing import final

from jaxtyping import Int
from torch import Tensor, nn

from observatory.core.contracts import FastPath, Loss, Model
from observatory.core.view import FleetView
from observatory.fleet.activations import LazyActivations
from observatory.fleet.every_example import FleetExamples
from observatory.fleet.look import Look
from observatory.fleet.replica_table import ReplicaTable
from observatory.fleet.replicas import Dataset
from observatory.fleet.settings import FleetSettings
from observatory.fleet.stack import layout_of, recorders


@final
class Window:
    """Opens a look for probes.

    Args:
        network: The prototype network.
        fast: Its fast path, if it has one that may be taken.
        dataset: All examples.
        loss: Of the training.
        table: Who is in the fleet.
        looked_at: Which examples are the probe examples.
        settings: Of the fleet.
    """

    def __init__(
        self,
        network: nn.Module,
        fast: FastPath | None,
        dataset: Dataset,
        loss: Loss,
        table: ReplicaTable,
        looked_at: Int[Tensor, " batch"],
        settings: FleetSettings,
    ) -> None:
        assert isinstance(network, Model)
        self._recorders = partial(recorders, network, fast)
        self._names = ("logits", *network.hooks())
        self._kinds = {name.rsplit(".", 1)[-1] for name in self._names}
        self._layout, self._weights = layout_of(network), network.weights()
        self._inputs = dataset.inputs.to(looked_at.device)[looked_at]
        self._loss_dtype = settings.loss_dtype
        self._everything = partial(
            FleetExamples,
            network=network,
            recorders=recorders(network, fast, None),
            dataset=dataset,
            loss=loss,
            seeds=dict(zip(table.replica.tolist(), table.seed.tolist(), strict=True)),
            device=looked_at.device,
        )

    def __call__(self, look: Look, needs: Collection[tuple[str, ...]] = ()) -> FleetView:
        """The replicas of a look as probes receive them.

        Args:
            look: The look.
            needs: Of all probes, as `Probe.needs`: what they will ask for; none: anything.
        """
        kinds = {next(kind for kind in need if kind in self._kinds) for need in needs}
        recorders = self._recorders(kinds or None)
        params = self._layout.views(look.flat)
        return FleetView(
            replica=look.replica,
            step=look.step,
            params=params,
            weights=self._weights,
            inputs=self._inputs,
            labels=look.labels,
            in_train=look.in_train,
            activations=LazyActivations(recorders, params, self._inputs, self._names),
            loss_dtype=self._loss_dtype,
            everything=self._everything(replicas=look.replica.tolist()),
        )

"""A look at networks whose weights are given, on all pairs of their task."""

from typing import Any

import torch

from observatory.core.contracts import Task
from observatory.core.layout import Params
from observatory.core.view import FleetView
from observatory.fleet.every_example import FleetExamples
from observatory.fleet.replicas import Dataset
from observatory.fleet.stack import layout_of, recorders
from observatory.losses.cross_entropy import CrossEntropy


def look_at(network: Any, params: Params, task: Task) -> FleetView:
    """Replicas 0, 1, ... of a network with these stacked weights; 60 % of the pairs in train."""
    assert list(params) == list(layout_of(network).names)
    replicas = len(next(iter(params.values())))
    dataset = Dataset.of(task, 0.6)
    everything = FleetExamples(
        range(replicas), network=network, recorders=recorders(network, None, None),
        dataset=dataset, loss=CrossEntropy(), seeds={r: r for r in range(replicas)},
        device=torch.device("cpu"),
    )  # fmt: skip
    return FleetView(
        replica=torch.arange(replicas),
        step=torch.zeros(replicas, dtype=torch.int64),
        params=params,
        weights=network.weights(),
        inputs=dataset.inputs,
        labels=everything.labels,
        in_train=everything.in_train,
        activations=everything.activations(params, dataset.inputs),
        loss_dtype="float64",
        everything=everything,
    )

"""All examples of a task and the network as functions, for probes that run it themselves."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from observatory.core.contracts import HasAnswers, Loss, Model, Recorder, Task
from observatory.core.layout import Params
from observatory.core.rng import named_generator
from observatory.core.view import EveryExample
from observatory.fleet.activations import LazyActivations
from observatory.fleet.replicas import Dataset
from observatory.fleet.stack import drawn_row, layout_of, vmapped, vmapped_patched


def latin_square(
    task: Task,
) -> tuple[Int[Tensor, "element element"], Int[Tensor, " sample"]] | None:
    """The group of a task's answers and the right answer of every example.

    None where there is no group, where the examples are not all ordered pairs of its elements, or
    where some answer comes twice in a row or a column of their table.
    """
    if not isinstance(task, HasAnswers) or (group := task.answer_group()) is None:
        return None
    inputs, answers, n = task.inputs(), task.answers(), len(group)
    if inputs.shape != (n * n, 2) or task.n_classes != n:
        return None
    places = inputs[:, 0] * n + inputs[:, 1]
    table = torch.full((n * n,), -1).index_copy_(0, places, answers).view(n, n)
    whole = torch.arange(n)
    latin = (table.sort(dim=0).values == whole[:, None]).all() & (
        table.sort(dim=1).values == whole
    ).all()
    return (group, answers) if bool(latin) else None


@final
class FleetExamples(EveryExample):
    """The `EveryExample` of a look at a fleet.

    Args:
        replicas: Identities of the looked at; one that is not in the fleet is an empty place, and
            has the numbers of any other.
        network: The prototype network.
        recorders: Its recording forwards, see `LazyActivations`.
        dataset: All examples.
        loss: Of the training.
        seeds: Of every replica.
        device: Where the parameters are.
    """

    def __init__(
        self,
        replicas: Sequence[int],
        *,
        network: nn.Module,
        recorders: Sequence[Recorder],
        dataset: Dataset,
        loss: Loss,
        seeds: Mapping[int, int],
        device: torch.device,
    ) -> None:
        any_seed = next(iter(seeds.values()))
        self._seeds = [seeds.get(replica, any_seed) for replica in replicas]
        self._network, self._recorders, self._dataset = network, recorders, dataset
        self._loss, self._device = loss, device
        self._since: int | None = None

    @property
    def inputs(self) -> Int[Tensor, "sample pos"]:
        """Operands of all examples."""
        return self._dataset.inputs.to(self._device)

    @cached_property
    def _labels_and_split(self) -> tuple[Tensor, Tensor]:
        splits = [self._dataset.draw(seed) for seed in self._seeds]
        labels = torch.stack([split.labels for split in splits])
        in_train = torch.stack([split.in_train() for split in splits])
        return labels.to(self._device), in_train.to(self._device)

    @property
    def labels(self) -> Int[Tensor, "replica sample"]:
        """What each replica is trained on."""
        return self._labels_and_split[0]

    @property
    def in_train(self) -> Bool[Tensor, "replica sample"]:
        """Whether an example is in the replica's own train split."""
        return self._labels_and_split[1]

    @cached_property
    def _square(self) -> tuple[Tensor, Tensor] | None:
        return latin_square(self._dataset.task)

    @property
    def group(self) -> Int[Tensor, "element element"] | None:
        """Table of the group of the answers, see `latin_square`."""
        return None if self._square is None else self._square[0]

    @property
    def answers(self) -> Int[Tensor, " sample"] | None:
        """The right answer of every example."""
        return None if self._square is None else self._square[1].to(self._device)

    @property
    def start(self) -> Params:
        """The parameters of every replica at step 0, drawn again from its seed, or at `since`."""
        return self._start

    @property
    def since(self) -> int | None:
        """The step of what `compare_with` was given."""
        return self._since

    def compare_with(self, params: Params, step: int) -> None:
        """Take these parameters of the same replicas, of that step, for `start`."""
        self._start, self._since = params, step

    @cached_property
    def _start(self) -> Params:
        assert isinstance(self._network, Model)
        rows = [drawn_row(self._network, named_generator(seed, "init")) for seed in self._seeds]
        return layout_of(self._network).views(torch.stack(rows).to(self._device))

    def logits(
        self, params: Params, inputs: Int[Tensor, "replica batch pos"]
    ) -> Float[Tensor, "replica batch d_vocab"]:
        """Logits by the plain module: hand-written forwards cannot all be differentiated twice."""
        return vmapped(self._network)(params, inputs)

    def patched(
        self,
        params: Params,
        inputs: Int[Tensor, "replica batch pos"],
        given: Mapping[str, Float[Tensor, "replica batch ..."]],
        only: Mapping[str, Bool[Tensor, "replica _ ..."]],
        *,
        relevance: bool,
    ) -> Float[Tensor, "replica batch d_vocab"]:
        """Logits by the plain module with some activations set, see `vmapped_patched`."""
        return vmapped_patched(self._network, relevance)(params, inputs, dict(given), dict(only))

    def losses(
        self,
        logits: Float[Tensor, "replica batch d_vocab"],
        labels: Int[Tensor, "replica batch"],
        counted: Bool[Tensor, "replica batch"] | None = None,
    ) -> Float[Tensor, "replica batch"]:
        """The loss of the training of every example."""
        mask = None if counted is None else counted.to(logits.dtype)
        return self._loss.each(logits, labels, mask)

    def activations(
        self, params: Params, inputs: Int[Tensor, "batch pos"]
    ) -> Mapping[str, Float[Tensor, "replica batch ..."]]:
        """What is recorded on examples that the networks share."""
        assert isinstance(self._network, Model)
        names = ("logits", *self._network.hooks())
        return LazyActivations(self._recorders, params, inputs, names)

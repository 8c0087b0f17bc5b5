"""Which examples each replica trains on next, from its own generator and cursor."""

import math

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from observatory.core.rng import named_generator


def batch_examples(n_train: int, batch_size: int | None) -> int:
    """Examples of a step; `batch_size` None: all of them."""
    return n_train if batch_size is None else min(batch_size, n_train)


class Batches:
    """Full-batch or mini-batch order of every slot.

    Every replica walks through its own train split in epochs of `steps_per_epoch` batches,
    reshuffled at each epoch's start by its own "batch" generator; the short last batch is kept, as
    a full one in which only the first examples count.

    Args:
        size: Number of slots.
        n_train: Examples in every train split.
        batch_size: Examples per step, or None for all of them.
        device: Where the indices are wanted.
    """

    def __init__(
        self, size: int, n_train: int, batch_size: int | None, device: torch.device
    ) -> None:
        self.n_train, self.device = n_train, device
        self.batch_size = batch_examples(n_train, batch_size)
        self.full = self.batch_size == n_train
        self.steps_per_epoch = math.ceil(n_train / self.batch_size)
        self.train = torch.zeros(size, n_train, dtype=torch.int64)
        self.order = torch.zeros(size, n_train, dtype=torch.int64, device=device)
        self.generators = [torch.Generator() for _ in range(size)]
        self._within = torch.arange(self.batch_size, device=device)
        self._place = torch.zeros(size, 1, dtype=torch.int64, device=device)

    def seat(self, slot: int, seed: int, train: Int[Tensor, " batch"]) -> None:
        """A new replica takes `slot`, at the start of its first epoch."""
        self.train[slot] = train
        self.order[slot] = train.to(self.device)
        self.generators[slot] = named_generator(seed, "batch")
        self._place[slot] = 0

    def begin(self, ages: list[int]) -> None:
        """Reshuffle the order of replicas of these `ages` that start an epoch with this step."""
        if self.full:
            return
        for slot, age in enumerate(ages):
            if age % self.steps_per_epoch == 0:
                shuffle = torch.randperm(self.n_train, generator=self.generators[slot])
                self.order[slot] = self.train[slot][shuffle].to(self.device)

    def current(
        self,
    ) -> tuple[Int[Tensor, "replica batch"], Float[Tensor, "replica batch"] | None]:
        """Example indices of the step and which of them count."""
        if self.full:
            return self.order, None
        cursor = self._place * self.batch_size + self._within
        indices = self.order.gather(1, cursor.clamp(max=self.n_train - 1))
        if self.n_train % self.batch_size == 0:
            return indices, None
        return indices, (cursor < self.n_train).to(torch.float64)

    def move_on(self) -> None:
        """The step was made; counted where the batches are, so that the host sends nothing."""
        if not self.full:
            self._place.add_(1).remainder_(self.steps_per_epoch)

    def state(
        self, slots: list[int]
    ) -> tuple[Int[Tensor, "replica sample"], UInt8[Tensor, "replica byte"]]:
        """Order of the epoch and state of the generator of each replica, for `resume`."""
        generators = [torch.empty(0, dtype=torch.uint8)] if not slots else []
        generators += [self.generators[slot].get_state() for slot in slots]
        return self.order[slots].cpu(), torch.stack(generators)[: len(slots)]

    def resume(
        self, slot: int, age: int, order: Int[Tensor, " sample"], generator: UInt8[Tensor, " byte"]
    ) -> None:
        """Continue exactly where `state` was taken, once the same replica is seated."""
        self.order[slot] = order.to(self.device)
        self.generators[slot].set_state(generator.clone())  # it must begin a piece of memory
        self._place[slot] = age % self.steps_per_epoch

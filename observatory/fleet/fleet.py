"""The fleet: R slots that train replicas as one computation, refilled from a queue."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from observatory.core.contracts import Hyper, Loss, Model, Optimizer
from observatory.core.layout import MATRICES, Params
from observatory.core.rng import named_generator
from observatory.core.view import FleetView
from observatory.fleet.activations import LazyActivations
from observatory.fleet.batches import Batches
from observatory.fleet.evaluate import evaluate
from observatory.fleet.look import Look
from observatory.fleet.replica_table import ReplicaTable
from observatory.fleet.replicas import Dataset, probe_examples
from observatory.fleet.rules import Looks
from observatory.fleet.settings import EvaluationSettings, FleetSettings
from observatory.fleet.stack import fast_path, flat_row, layout_of, vmapped, vmapped_record
from observatory.fleet.step import DTYPES, losses_and_gradient

EMPTY = -1


class Fleet:
    """The live stack of one shard.

    The host knows who sits where (`slots`, `ages`); the device holds one row per slot. Nothing here
    couples rows: a row's numbers depend on its replica alone, whatever else the stack holds.
    """

    def __init__(
        self,
        network: nn.Module,
        dataset: Dataset,
        loss: Loss,
        optimizer: Optimizer,
        table: ReplicaTable,
        settings: FleetSettings,
        evaluation: EvaluationSettings,
    ) -> None:
        assert isinstance(network, Model)
        self.settings, self.evaluation = settings, evaluation
        self.dtype, self.loss_dtype = DTYPES[settings.dtype], DTYPES[settings.loss_dtype]
        self.device = torch.device(settings.device)
        self.layout, self.weights = layout_of(network), network.weights()
        self.network = network.to(self.dtype)
        self.dataset, self.loss, self.optimizer, self.table = dataset, loss, optimizer, table
        fast = fast_path(self.network, settings.path)
        self.forward = fast or vmapped(self.network)
        whole = vmapped_record(self.network)
        self.recorders = (whole,) if fast is None else (fast.record, whole)
        size, n = settings.size, len(dataset)
        self.flat = torch.zeros(size, sum(self.layout.sizes), dtype=self.dtype, device=self.device)
        self.optimizer_state = optimizer.init(self.flat)
        decays = torch.ones(self.flat.shape[1], dtype=torch.float64)
        if settings.decay == "matrices":
            decays = self.layout.mask(MATRICES)
        self.hyper = Hyper(
            lr=torch.zeros(size, dtype=self.dtype, device=self.device),
            weight_decay=torch.zeros(size, dtype=self.dtype, device=self.device),
            decays=decays.to(self.device, self.dtype),
            layout=self.layout,
        )
        self.inputs = dataset.inputs.to(self.device)
        self.labels = torch.zeros(size, n, dtype=torch.int64, device=self.device)
        self.in_train = torch.zeros(size, n, dtype=torch.bool, device=self.device)
        n_looked = evaluation.looked_at(dataset)
        self.looked_at = torch.zeros(size, sum(n_looked), dtype=torch.int64, device=self.device)
        self.batches = Batches(size, dataset.n_train, settings.batch_size, self.device)
        # Ticks, not ages: so that a step needs no tensor of ages.
        self.first_bad = torch.full((size,), -1, dtype=torch.int64, device=self.device)
        self.slots = [EMPTY] * size
        self.ages = [0] * size
        self.looks = [Looks() for _ in range(size)]
        self.cursor = 0
        self.tick = 0
        self.replica_steps = 0
        probe = probe_examples(n, settings.probe_examples, settings.study_seed)
        self.probe_examples = probe.to(self.device)
        self.probe_inputs = self.inputs[self.probe_examples]
        self.probe_labels = self.labels[:, self.probe_examples]  # filled when a replica is seated
        self.probe_in_train = self.in_train[:, self.probe_examples]
        self._everyone = list(range(size))
        self._views = self.layout.views(self.flat)  # which is only ever written in place
        self._batch: tuple[Tensor, Tensor] | None = None

    # Who sits where -------------------------------------------------------------------------------

    def active(self) -> list[int]:
        """Slots that hold a replica."""
        return [slot for slot, row in enumerate(self.slots) if row != EMPTY]

    @property
    def queued(self) -> int:
        """Replicas that have not started."""
        return len(self.table) - self.cursor

    @property
    def finished(self) -> bool:
        """Whether nobody trains and nobody waits."""
        return not self.active() and not self.queued

    def replica_of(self, slot: int) -> int:
        """Identity of the replica in `slot`."""
        return int(self.table.replica[self.slots[slot]])

    def fill(self) -> list[int]:
        """Seat waiting replicas in empty slots, in queue order; returns the filled slots."""
        filled = [slot for slot, row in enumerate(self.slots) if row == EMPTY][: self.queued]
        for slot in filled:
            self._seat(slot, self.cursor)
            self.cursor += 1
        return filled

    def vacate(self, slot: int) -> None:
        """The replica in `slot` leaves; its row is zeroed and no longer moves."""
        self.slots[slot] = EMPTY
        self.flat[slot] = 0.0
        for state in self.optimizer_state.values():
            state[slot] = 0.0
        self.hyper.lr[slot] = 0.0
        self.first_bad[slot] = -1

    def _seat(self, slot: int, row: int) -> None:
        self._place(slot, row)
        seed = int(self.table.seed[row])
        self.network.initialise(named_generator(seed, "init"))
        self.flat[slot] = flat_row(self.network).to(self.device)
        fresh = self.optimizer.init(self.flat[slot : slot + 1])
        for name, state in self.optimizer_state.items():
            state[slot] = fresh[name][0]
        self.ages[slot] = 0
        self.looks[slot] = Looks()
        self.first_bad[slot] = -1

    def _place(self, slot: int, row: int) -> None:
        """What of a replica in a slot follows from its seed and hyperparameters alone."""
        self.slots[slot] = row
        seed = int(self.table.seed[row])
        split = self.dataset.draw(seed)
        self.labels[slot] = split.labels.to(self.device)
        self.in_train[slot] = split.in_train().to(self.device)
        self.probe_labels[slot] = self.labels[slot, self.probe_examples]
        self.probe_in_train[slot] = self.in_train[slot, self.probe_examples]
        n_train, n_val = self.evaluation.looked_at(self.dataset)
        if self.evaluation.subset is None:
            looked = torch.arange(len(self.dataset))
        else:
            looked = torch.cat([split.train[:n_train], split.val[:n_val]])
        self.looked_at[slot] = looked.to(self.device)
        self.batches.seat(slot, seed, split.train)
        self.hyper.lr[slot] = float(self.table.lr[row])
        self.hyper.weight_decay[slot] = float(self.table.weight_decay[row])
        self._batch = None

    # Training -------------------------------------------------------------------------------------

    def advance(self, steps: int) -> None:
        """Make `steps` optimizer steps with every slot."""
        for _ in range(steps):
            self._step()

    def _step(self) -> None:
        inputs, labels, counted = self._next_batch()
        losses, gradient = losses_and_gradient(
            self.forward,
            self.loss,
            self.layout,
            self.flat,
            inputs,
            labels,
            counted,
            self.loss_dtype,
        )
        self._note_bad(~losses.isfinite())
        self.optimizer.update(self.flat, gradient, self.optimizer_state, self.hyper)
        self.tick += 1
        for slot in self.active():
            self.ages[slot] += 1
            self.replica_steps += 1

    def _next_batch(self) -> tuple[Tensor, Tensor, Tensor | None]:
        if self.batches.full and self._batch is not None:
            return *self._batch, None
        indices, counted = self.batches.next(self.ages)
        self._batch = (self.inputs[indices], self.labels.gather(1, indices))
        return *self._batch, counted

    def _note_bad(self, bad: Bool[Tensor, " replica"]) -> None:
        self.first_bad = torch.where(bad & (self.first_bad < 0), self.tick, self.first_bad)

    def diverged_steps(self) -> list[int | None]:
        """Per slot, the step of the first non-finite loss or parameter, or None."""
        self._note_bad(~self.flat.isfinite().all(dim=1))
        return [
            None if bad < 0 else age - (self.tick - bad)
            for bad, age in zip(self.first_bad.tolist(), self.ages, strict=True)
        ]

    # Looking --------------------------------------------------------------------------------------

    def evaluate(self, slots: list[int], *, full: bool) -> dict[str, Tensor]:
        """Loss and accuracy in `slots`, on all examples or on each replica's fixed subset."""
        rows = self._rows(slots)
        labels, in_train = self.labels[rows], self.in_train[rows]
        if full or self.evaluation.subset is None:
            inputs = self.inputs.expand(len(slots), -1, -1)
        else:
            looked = self.looked_at[rows]
            inputs, labels, in_train = (
                self.inputs[looked],
                labels.gather(1, looked),
                in_train.gather(1, looked),
            )
        return evaluate(
            self.forward,
            self.loss,
            self._params(slots),
            inputs,
            labels,
            in_train,
            self.loss_dtype,
            self.evaluation.chunk,
        )

    def look(self, slots: list[int]) -> Look:
        """A copy of what probes need of the replicas in `slots`."""
        rows = self._rows(slots)
        return Look(
            replica=torch.tensor([self.replica_of(slot) for slot in slots]),
            step=torch.tensor([self.ages[slot] for slot in slots]),
            flat=self.flat[rows].clone(),
            labels=self.probe_labels[rows].clone(),
            in_train=self.probe_in_train[rows].clone(),
        )

    def view(self, look: Look) -> FleetView:
        """The window on the replicas of a look that probes receive."""
        params = self.layout.views(look.flat)
        return FleetView(
            replica=look.replica,
            step=look.step,
            params=params,
            weights=self.weights,
            inputs=self.probe_inputs,
            labels=look.labels,
            in_train=look.in_train,
            activations=LazyActivations(
                self.recorders, params, self.probe_inputs, ("logits", *self.network.hooks())
            ),
            loss_dtype=self.settings.loss_dtype,
        )

    def _rows(self, slots: list[int]) -> slice | Int[Tensor, " replica"]:
        """An index of the rows of `slots` that copies nothing where they are all."""
        return slice(None) if slots == self._everyone else torch.tensor(slots, device=self.device)

    def _params(self, slots: list[int]) -> Params:
        if slots == self._everyone:
            return self._views
        return self.layout.views(self.flat[self._rows(slots)])

    # Continuing -----------------------------------------------------------------------------------

    def state(self) -> dict[str, object]:
        """Plain tensors and values from which `restore` continues bit for bit."""
        return {
            "flat": self.flat.cpu(),
            "optimizer": {name: value.cpu() for name, value in self.optimizer_state.items()},
            "first_bad": self.first_bad.cpu(),
            "batches": self.batches.state(),
            "slots": list(self.slots),
            "ages": list(self.ages),
            "looks": [looks.state() for looks in self.looks],
            "cursor": self.cursor,
            "tick": self.tick,
            "replica_steps": self.replica_steps,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken; the table, data and settings must be the same."""
        for slot, row in enumerate(state["slots"]):
            if row != EMPTY:
                self._place(slot, row)
            self.slots[slot] = row
        self.ages = state["ages"]
        self.looks = [Looks.restore(looks) for looks in state["looks"]]
        self.batches.restore(state["batches"])
        self.flat.copy_(state["flat"])
        for name, value in state["optimizer"].items():
            self.optimizer_state[name].copy_(value)
        self.first_bad.copy_(state["first_bad"])
        self.cursor, self.tick = state["cursor"], state["tick"]
        self.replica_steps = state["replica_steps"]

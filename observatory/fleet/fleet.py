"""The fleet: R slots that train replicas as one computation, refilled from a queue."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from observatory.core.contracts import Hyper, Loss, Model, Optimizer
from observatory.core.layout import MATRICES, Params
from observatory.core.rng import named_generator
from observatory.fleet.batches import Batches
from observatory.fleet.divergence import Divergence
from observatory.fleet.evaluate import evaluate
from observatory.fleet.feed import Feed
from observatory.fleet.given import GivenRows
from observatory.fleet.graphs import GraphedStep, cuda_capture
from observatory.fleet.look import Look
from observatory.fleet.queue import Queue
from observatory.fleet.replica_table import ReplicaTable
from observatory.fleet.replicas import Dataset, probe_examples
from observatory.fleet.rules import Looks
from observatory.fleet.seats import compact
from observatory.fleet.settings import EvaluationSettings, FleetSettings
from observatory.fleet.splits import Splits
from observatory.fleet.stack import drawn_row, fast_path, layout_of, vmapped
from observatory.fleet.state import ReplicaStates, seated
from observatory.fleet.step import DTYPES, LossAndGradient
from observatory.fleet.window import Window

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
        self.given = GivenRows.of(table)
        fast = fast_path(self.network, settings.path)
        self.forward = fast or vmapped(self.network)
        self.loss_and_gradient = LossAndGradient(
            self.forward,
            loss,
            self.layout,
            self.loss_dtype,
            settings.matmul,
            compiled=settings.size if settings.compile == "on" else None,
        )
        decaying = MATRICES if settings.decay == "matrices" else self.layout.roles
        self.decays = self.layout.mask(decaying).to(self.device, self.dtype)
        self.inputs = dataset.inputs.to(self.device)
        probe = probe_examples(len(dataset), settings.probe_examples, settings.study_seed)
        self.probe_examples = probe.to(self.device)
        self.view = Window(self.network, fast, dataset, loss, table, self.probe_examples, settings)
        self.capture = cuda_capture if settings.graphs == "on" else None
        self.queue = Queue()
        self.tick = self.replica_steps = self.slot_steps = 0
        self.resize(settings.size)

    def resize(self, size: int) -> None:
        """Empty rows for a stack of `size` slots, and a step that was never recorded."""
        self.flat = torch.zeros(size, sum(self.layout.sizes), dtype=self.dtype, device=self.device)
        self.optimizer_state = self.optimizer.init(self.flat)
        rates = (torch.zeros(size, dtype=self.dtype, device=self.device) for _ in range(2))
        self.hyper = Hyper(*rates, decays=self.decays, layout=self.layout)
        self.logit_scale = torch.ones(size, dtype=self.loss_dtype, device=self.device)
        probed = self.probe_examples
        self.splits = Splits(size, self.inputs, self.dataset, self.evaluation, probed)
        self.batches = Batches(size, self.dataset.n_train, self.settings.batch_size, self.device)
        self.divergence = Divergence(size, self.device)
        self.divergence.tick.fill_(self.tick)
        self.slots = [EMPTY] * size
        self.homes = list(range(size))
        self.ages = [0] * size
        self.looks = [Looks() for _ in range(size)]
        self._everyone = list(range(size))
        self._views = self.layout.views(self.flat)  # which is only ever written in place
        self.feed = Feed(self.batches, self.splits)
        self._make_step = GraphedStep(self._on_device, self.capture)

    # Who sits where -------------------------------------------------------------------------------

    def active(self) -> list[int]:
        """Slots that hold a replica."""
        return [slot for slot, row in enumerate(self.slots) if row != EMPTY]

    @property
    def queued(self) -> int:
        """Replicas that wait for a seat, or for their moment."""
        return len(self.table) - self.queue.begun

    @property
    def finished(self) -> bool:
        """Whether nobody trains and nobody waits."""
        return not self.active() and not self.queued

    def replica_of(self, slot: int) -> int:
        """Identity of the replica in `slot`."""
        return int(self.table.replica[self.slots[slot]])

    def fill(self) -> list[int]:
        """Seat who waits in empty slots, see `Queue.take`; returns the filled slots."""
        free = [slot for slot, row in enumerate(self.slots) if row == EMPTY]
        seated = self.queue.take(free, len(self.slots), self.table.n_fresh)
        for slot, who in seated:
            if isinstance(who, int):
                self._seat(slot, who)
            else:
                self.resume(slot, who)
            self.homes[slot] = slot
        return [slot for slot, _ in seated]

    def vacate(self, slot: int) -> None:
        """The replica in `slot` leaves for good; its row is zeroed and no longer moves."""
        self.queue.targets.pop(self.slots[slot], None)
        self.slots[slot] = EMPTY
        self.flat[slot] = 0.0
        for state in self.optimizer_state.values():
            state[slot] = 0.0
        self.hyper.lr[slot] = 0.0
        self.divergence.clear(slot)

    def shrink(self) -> list[int] | None:
        """Leave out empty slots once nobody waits for one.

        Returns:
            Which slot each slot of the smaller stack was before, or None where it stays as it is.
        """
        kept = compact([row != EMPTY for row in self.slots])
        if self.queued or len(kept) == len(self.slots):
            return None
        taken = [slot for slot in kept if self.slots[slot] != EMPTY]
        states = self.states(taken)
        self.resize(len(kept))
        for row, slot in enumerate(taken):
            self.resume(kept.index(slot), states, row)
        return kept

    def resume(self, slot: int, states: ReplicaStates, row: int = 0) -> None:
        """Seat a replica of this shard in an empty slot, in the state that it had."""
        self._place(slot, self.table.replica.tolist().index(states.replica[row]))
        self.ages[slot] = age = states.step[row]
        self.homes[slot] = states.home[row]
        self.looks[slot] = Looks.restore(states.looks[row])
        self.flat[slot] = states.flat[row].to(self.device)
        for name, state in self.optimizer_state.items():
            state[slot] = states.optimizer[name][row].to(self.device)
        self.batches.resume(slot, age, states.order[row], states.generator[row])
        self.divergence.resume(slot, age, states.diverged_step[row])

    def _seat(self, slot: int, row: int) -> None:
        self._place(slot, row)
        rng = named_generator(int(self.table.seed[row]), "init")
        self.flat[slot] = drawn_row(self.network, rng).to(self.device)
        fresh = self.optimizer.init(self.flat[slot : slot + 1])
        for name, state in self.optimizer_state.items():
            state[slot] = fresh[name][0]
        self.ages[slot] = 0
        self.looks[slot] = Looks()
        self.divergence.clear(slot)

    def _place(self, slot: int, row: int) -> None:
        """What of a replica in a slot follows from its seed and hyperparameters alone."""
        self.slots[slot] = row
        seed = int(self.table.seed[row])
        split = self.dataset.draw(seed)
        self.splits.seat(slot, split)
        self.batches.seat(slot, seed, split.train)
        given = self.given.row(row)
        self.hyper.lr[slot], self.hyper.weight_decay[slot] = given.lr, given.weight_decay
        self.logit_scale[slot] = given.logit_scale
        self.feed.stale = True

    # Training -------------------------------------------------------------------------------------

    def advance(self, steps: int) -> None:
        """Make `steps` optimizer steps with every slot."""
        for _ in range(steps):
            self._step()

    def _step(self) -> None:
        self.feed.ready(self.ages)
        self._make_step()
        self.tick += 1
        self.slot_steps += len(self.slots)
        for slot in self.active():
            self.ages[slot] += 1
            self.replica_steps += 1

    def _on_device(self) -> None:
        """What of a step the device does; everything in it stays where it is in memory."""
        scale = None if self.given.logit_scale is None else self.logit_scale
        losses, gradient = self.loss_and_gradient(self.flat, *self.feed(), scale)
        self.divergence.note(~losses.isfinite())
        self.optimizer.update(self.flat, gradient, self.optimizer_state, self.hyper)
        self.divergence.tick += 1
        self.batches.move_on()

    def diverged_steps(self) -> list[int | None]:
        """Per slot, the step of the first non-finite loss or parameter, or None."""
        self.divergence.note(~self.flat.isfinite().all(dim=1))
        return self.divergence.steps(self.ages)

    # Looking --------------------------------------------------------------------------------------

    def evaluate(self, slots: list[int], *, full: bool) -> dict[str, Tensor]:
        """Loss and accuracy in `slots`, on all examples or on each replica's fixed subset."""
        rows = self._rows(slots)
        inputs, labels, in_train = self.splits.looked_at(rows, full=full)
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
        """What probes need of the replicas in `slots`, valid until the next step."""
        rows = self._rows(slots)
        return Look(
            replica=torch.tensor([self.replica_of(slot) for slot in slots]),
            step=torch.tensor([self.ages[slot] for slot in slots]),
            flat=self.flat[rows],
            labels=self.splits.probe_labels[rows],
            in_train=self.splits.probe_in_train[rows],
        )

    def _rows(self, slots: list[int]) -> slice | Int[Tensor, " replica"]:
        """An index of the rows of `slots` that copies nothing where they are all."""
        return slice(None) if slots == self._everyone else torch.tensor(slots, device=self.device)

    def _params(self, slots: list[int]) -> Params:
        if slots == self._everyone:
            return self._views
        return self.layout.views(self.flat[self._rows(slots)])

    # Continuing -----------------------------------------------------------------------------------

    def states(self, slots: list[int]) -> ReplicaStates:
        """The complete states of the replicas in `slots`, copied to the host."""
        diverged = self.divergence.steps(self.ages)
        order, generator = self.batches.state(slots)
        return ReplicaStates(
            replica=[self.replica_of(slot) for slot in slots],
            step=[self.ages[slot] for slot in slots],
            home=[self.homes[slot] for slot in slots],
            diverged_step=[diverged[slot] for slot in slots],
            looks=[self.looks[slot].state() for slot in slots],
            flat=self.flat[slots].cpu(),
            optimizer={name: value[slots].cpu() for name, value in self.optimizer_state.items()},
            order=order,
            generator=generator,
        )

    def state(self) -> dict[str, object]:
        """Plain tensors and values from which `restore` continues bit for bit."""
        return {
            "states": self.states(self.active()).plain(),
            "slots": list(self.slots),
            **self.queue.state(),
            "tick": self.tick,
            "replica_steps": self.replica_steps,
            "slot_steps": self.slot_steps,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken; the table, data and settings must be the same."""
        states = seated(state, self.table.replica)
        self.queue.restore(state)
        self.tick, self.replica_steps = state["tick"], state["replica_steps"]
        self.slot_steps = state.get("slot_steps", self.tick * len(state["slots"]))
        self.resize(len(state["slots"]))
        for row, slot in enumerate(s for s, who in enumerate(state["slots"]) if who != EMPTY):
            self.resume(slot, states, row)

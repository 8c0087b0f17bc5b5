"""Watching one training of the user's own: when to look, what it costs, where it is kept."""

import atexit
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from observatory.core.errors import ConfigError
from observatory.core.names import check_folder
from observatory.core.schedule import Schedule
from observatory.store.reader import Run
from observatory.watch.instrument import Instrument
from observatory.watch.low_precision.series import TABLE, LowPrecisionLooks
from observatory.watch.online.batch import host_copy, moved
from observatory.watch.online.budget import Budget
from observatory.watch.online.due import DueLooks
from observatory.watch.online.loop import Log, named_scalars
from observatory.watch.online.metrics import claims_of, numbers_of
from observatory.watch.online.ranks import Ranks
from observatory.watch.online.record import RunRecord, begun_twice
from observatory.watch.online.updates import Updates
from observatory.watch.reading.forward import unwrapped
from observatory.watch.tables import PROBES

_FLUSH_S = 30.0  # after which a look writes what was collected: a crash loses at most that


@final
class Observe:
    """Watches trainings of the user's own model in the user's own loop.

    A study is a folder, a training a run of it: the `settings` of `begin` tell one from another, so
    that a sweep over them can be fitted. Nothing of the training changes by a bit; a step that does
    not look costs one comparison.

    Args:
        folder: Of the study, such as "results/mine".
        batch: What the model is called with at every look: a tensor, a tuple, or a dictionary of
            keywords. It is kept with the run; a resume with another one is refused.
        every: When to look, in optimizer updates: a schedule, or a number of steps.
        spectra: When ranks and alignment of the matrices are measured too, which cost several times
            the rest: at the first look from each of these steps on. None: at every look.
        budget: Share of the time that looks may take, in (0, 1]; a look that would exceed it is
            left out, and that it was is recorded. None: no bound.
        low_precision: When and how it is asked what low precision would do; None: never.
        event: What to fit, on a metric that `step` is given, such as "val_acc >= 0.99"; several by
            name. The first one is the main one; one without a name is called "reached".
        log: Receives scalars by name and the step after a look, such as `fabric.log_dict`.
        probes: What is measured at every look.
        options: Of the `Instrument`, such as `adapters`, `forward` or `precision`.

    Raises:
        ConfigError: If an argument breaks its rule.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        batch: Any,
        every: Schedule | int,
        budget: float | None,
        spectra: Schedule | int | None = None,
        low_precision: LowPrecisionLooks | None = None,
        event: str | Mapping[str, str] | None = None,
        log: Log | None = None,
        probes: Collection[str] = PROBES,
        **options: Any,
    ) -> None:
        check_folder("folder", str(folder))
        if budget is not None and not 0 < budget <= 1:
            raise ConfigError(
                f"`budget` must be in (0, 1], got {budget}. Give the share of the time, or None."
            )
        self._study, self._batch = Path(folder), host_copy(batch)
        self._low_precision, asked = low_precision, low_precision and low_precision.schedule
        self._due = DueLooks(every, spectra, probes, asked)
        self._share, self._claims, self._options = budget, claims_of(event), options
        self.log = log
        self._record: RunRecord | None = None
        self._resume: tuple[int, Mapping[str, Any]] = (0, {})
        self._forget()

    def _forget(self) -> None:
        self._idle, self._step = True, 0
        self._updates: Updates | None = None
        self._flushed, self._budget = time.perf_counter(), Budget(self._share)
        self._metrics: dict[int, dict[str, float]] = {}
        self._instrument: Instrument | None = None

    def begin(
        self,
        model: nn.Module,
        settings: Mapping[str, Any] | None = None,
        *,
        step: int | None = None,
        horizon_steps: int | None = None,
        steps_per_epoch: int | None = None,
    ) -> "Observe":
        """Begin to watch a training, or go on with it, and look if a look is due.

        Args:
            model: The network, also one that is wrapped or compiled.
            settings: Hyperparameters that tell this training from others: `weight_decay`, `lr` and
                `seed` are known to all fits, any other number is a column, a text a group.
            step: Optimizer updates made before: those of the checkpoint that goes on. What was
                recorded after it is replaced. None: those of `load_state_dict`, or 0.
            horizon_steps: Updates that are planned.
            steps_per_epoch: Updates per epoch, where there are epochs.

        Raises:
            ConfigError: If a setting is no plain value.
            BusyError: If another live process observes a training of these settings.
            StoreError: If a training of these settings has ended, or goes on with another batch.
        """
        if self._record is not None:
            raise ConfigError("`begin` must be called once for a training. Call `end` before.")
        self._forget()
        made, kept = self._resume if step in (None, self._resume[0]) else (step, {})
        self._resume = (0, {})
        network = unwrapped(model)
        self._ranks = Ranks.of(network)
        self._idle = not self._ranks.looks
        if self._idle:
            return self
        self._model = model
        if self._ranks.writes:
            options = {name: repr(value) for name, value in self._options.items()}
            about = {**self._due.about(), "budget": self._share, **options}
            if self._low_precision is not None:
                about[TABLE] = self._low_precision.about()
            self._record = RunRecord(
                self._study, network, settings or {}, self._batch, self._claims, about,
                made, horizon_steps, steps_per_epoch,
            )  # fmt: skip
            atexit.register(self._at_exit)
        self._step = made
        self._due.begin(made, kept)
        if not made and self._due.every.due(0):
            self._look(0)
        return self

    def step(self, n: int, **metrics: Any) -> None:
        """Say that `n` updates were made, and look if a look is due; call it after every update.

        A number is kept at every step at which it is given. A tensor on an accelerator is read, and
        kept, at looks alone: reading it waits for the device.

        Args:
            n: Optimizer updates made since the training began, those before a resume included.
            metrics: Numbers, or tensors of one entry, by name.

        Raises:
            ConfigError: If `n` falls, or a metric is no number.
            DisturbedError: If the look changed the training.
        """
        if self._idle:
            return
        looks = self.due(n)
        if n != self._step:
            if n < self._step:
                raise ConfigError(f"`n` must not fall, got {n} after {self._step} updates.")
            self._step = n
        if metrics:
            self._metrics.setdefault(n, {}).update(numbers_of(metrics, looks=looks))
        if looks:
            self._look(n)

    def gradients(self) -> None:
        """Keep the norms of the gradients, and with the next look those of the update.

        Call it after each backward pass, before anything clips. Only where a look is due it does
        something: until then it keeps a copy of the weights.
        """
        if self.due(self._step + 1):
            self._updates = Updates(unwrapped(self._model))

    def state_dict(self) -> dict[str, Any]:
        """Write what was collected; returns plain values from which `load_state_dict` goes on."""
        self._flush()
        return {"step": self._step, **self._due.state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next `begin` go on from the step of a checkpoint."""
        self._resume = int(state["step"]), state

    def pause(self) -> None:
        """Write what was collected and give the run free, unfinished: it may be resumed."""
        self._flush()
        if self._record is not None:
            self._record.release()
        self._leave()

    def end(self) -> Run | None:
        """End the training: write its events and its outcome.

        Returns:
            The run; None in a process that does not write.
        """
        record = self._open_record()
        if record is None:
            return None
        record.thinned(self._budget)
        record.metrics(self._metrics)
        self._leave()
        return record.close(self._step, spent_s=self._budget.spent_s)

    def due(self, n: int) -> bool:
        """Whether `step(n)` would look, were there no budget."""
        return not self._idle and self._due.due(n)

    def lightning(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        count: Callable[[Any], int] | None = None,
    ) -> Any:
        """A callback for the Trainer of Lightning: it begins, steps, keeps and ends by itself.

        Args:
            settings: As of `begin`, beside the module's `hparams`.
            count: Updates made, from the trainer, where `global_step` counts something else.
        """
        from observatory.watch.online.lightning import WatchCallback

        return WatchCallback(self, settings, count)

    def attach(self, trainer: Any, settings: Mapping[str, Any] | None = None) -> None:
        """Watch a Trainer of Hugging Face: it begins, steps, keeps and ends by itself.

        What the trainer logs are the metrics; scalars go to where it reports to.

        Args:
            trainer: The trainer.
            settings: As of `begin`, beside learning rate, weight decay and seed of its arguments.
        """
        from observatory.watch.online.huggingface import WatchCallback

        trainer.add_callback(WatchCallback(self, trainer, settings))

    def _leave(self) -> None:
        atexit.unregister(self._at_exit)
        self._record, self._instrument, self._idle = None, None, True

    def _open_record(self) -> RunRecord | None:
        if self._record is not None and self._record.released:
            self._leave()
            raise begun_twice()
        return self._record

    def _at_exit(self) -> None:
        if self._record is not None and not self._record.released:
            self._flush()

    def _look(self, n: int) -> None:
        self._due.passed(n)
        device = next((p.device for p in self._model.parameters()), torch.device("cpu"))
        if not self._ranks.agreed(self._budget.affordable(), device):
            self._budget.skip(n)
            self._updates = None
            return
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # what waits is the training's own time
        began = time.perf_counter()
        first = self._instrument is None
        if self._instrument is None:
            given = moved(self._batch, device)
            self._instrument = Instrument(self._model, given, **self._options)
        once_s = time.perf_counter() - began
        snapshot = self._instrument.look(self._due.at(n))
        if self._updates is not None:
            snapshot.tables["updates"] = self._updates.table()
            self._updates = None
        if self._low_precision is not None and self._due.low_precision(n):
            seen, forward = self._instrument, self._options.get("forward")
            snapshot.tables[TABLE] = self._low_precision.table(seen.model, seen.batch, forward)
        record = self._open_record()
        if record is not None:
            record.thinned(self._budget)
            record.look(n, snapshot, names=first)
            if self.log is not None:
                self.log(named_scalars(snapshot), n)
        self._budget.charge(time.perf_counter() - began, once_s=once_s)
        if time.perf_counter() - self._flushed > _FLUSH_S:
            self._flush(but=n)

    def _flush(self, but: int | None = None) -> None:
        """Write what was collected, but for the metrics of a step that may get more."""
        record = self._open_record()
        if record is None:
            return
        kept = {but: self._metrics.pop(but)} if but in self._metrics else {}
        record.metrics(self._metrics)
        self._metrics = kept
        record.flush(self._step, spent_s=self._budget.spent_s)
        self._flushed = time.perf_counter()

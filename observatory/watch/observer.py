"""Watching one training of the user's own: when to look, what it costs, where it is kept."""

import atexit
import math
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from observatory.core.errors import ConfigError
from observatory.core.names import check_folder
from observatory.core.schedule import Every, Schedule
from observatory.events.claim import Claim
from observatory.store.reader import Run
from observatory.watch.batch import host_copy, moved
from observatory.watch.forward import unwrapped
from observatory.watch.measures import PROBES
from observatory.watch.ranks import Ranks
from observatory.watch.record import RunRecord, metric_name
from observatory.watch.snapshot import Instrument

Log = Callable[[dict[str, float], int], None]
"""Receives the scalars of a look by name, and its step."""

_FLUSH_S = 30.0
"""Seconds after which a look writes what was collected; a crash loses at most that."""
_PREFIX = "observatory"
"""Of the names of scalars in the user's own logger."""


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
        budget: Share of the time that looks may take, in (0, 1]; a look that would exceed it is
            left out, and that it was is recorded. None: no bound.
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
        self._schedule = Every(every) if isinstance(every, int) else every
        self._budget, self._claims, self._options = budget, _claims(event), options
        self._probes, self.log = tuple(probes), log
        self._record: RunRecord | None = None
        self._resume = 0
        self._forget()

    def _forget(self) -> None:
        self._idle = True
        self._step, self._looked, self._next = 0, -1, math.inf
        self._began = self._flushed = time.perf_counter()
        self._spent = self._last_cost = 0.0
        self._skipped: list[int] = []
        self._metrics: dict[int, dict[str, float]] = {}
        self._instrument: Instrument | None = None

    def begin(
        self,
        model: nn.Module,
        settings: Mapping[str, Any] | None = None,
        *,
        step: int | None = None,
        horizon_steps: int | None = None,
    ) -> "Observe":
        """Begin to watch a training, or go on with it, and look if a look is due.

        Args:
            model: The network, also one that is wrapped or compiled.
            settings: Hyperparameters that tell this training from others: `weight_decay`, `lr` and
                `seed` are known to all fits, any other number is a column, a text a group.
            step: Optimizer updates made before: those of the checkpoint that goes on. What was
                recorded after it is replaced. None: those of `load_state_dict`, or 0.
            horizon_steps: Updates that are planned.

        Raises:
            ConfigError: If a setting is no plain value.
            BusyError: If another live process observes a training of these settings.
            StoreError: If a training of these settings has ended, or goes on with another batch.
        """
        if self._record is not None:
            raise ConfigError("`begin` must be called once for a training. Call `end` before.")
        self._forget()
        made = self._resume if step is None else step
        self._resume = 0
        network = unwrapped(model)
        self._ranks = Ranks.of(network)
        self._idle = not self._ranks.looks
        if self._idle:
            return self
        self._model = model
        if self._ranks.writes:
            about = {
                "every": repr(self._schedule), "budget": self._budget,
                "probes": list(self._probes), **_said(self._options),
            }  # fmt: skip
            self._record = RunRecord(
                self._study, network, settings or {}, self._batch, self._claims, about,
                made, horizon_steps,
            )  # fmt: skip
            atexit.register(self._flush)
        self._step = made
        self._next = _following(self._schedule, made)
        if not made and self._schedule.due(0):
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
        looks = n >= self._next and n > self._looked
        if n != self._step:
            if n < self._step:
                raise ConfigError(f"`n` must not fall, got {n} after {self._step} updates.")
            self._step = n
        if metrics:
            self._note(n, metrics, looks=looks)
        if looks:
            self._look(n)

    def state_dict(self) -> dict[str, Any]:
        """Write what was collected; returns plain values from which `load_state_dict` goes on."""
        self._flush()
        return {"step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next `begin` go on from the step of a checkpoint."""
        self._resume = int(state["step"])

    def end(self, *, failed: bool = False) -> Run | None:
        """End the training: write its events and its outcome; returns its run.

        Args:
            failed: Whether an error ended it.

        Returns:
            The run; None in a process that does not write.
        """
        record, self._record = self._record, None
        self._idle = True
        if record is None:
            return None
        atexit.unregister(self._flush)
        self._thinned(record)
        record.metrics(self._metrics)
        reason = "failed" if failed else "ended"
        return record.close(self._step, spent_s=self._spent, reason=reason)

    def _note(self, n: int, metrics: Mapping[str, Any], *, looks: bool) -> None:
        row = self._metrics.setdefault(n, {})
        for name, value in metrics.items():
            if isinstance(value, Tensor):
                if value.device.type != "cpu" and not looks:
                    continue
                value = value.detach().item()
            try:
                row[metric_name(name)] = float(value)
            except (TypeError, ValueError):
                raise ConfigError(
                    f"`{name}` must be a number, got {type(value).__name__}. Give its mean."
                ) from None

    def _look(self, n: int) -> None:
        self._next = _following(self._schedule, n)
        device = next((p.device for p in self._model.parameters()), torch.device("cpu"))
        if not self._ranks.agreed(self._affordable(), device):
            self._skipped.append(n)
            return
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # what waits is the training's own time
        began = time.perf_counter()
        first = self._instrument is None
        if self._instrument is None:
            batch = moved(self._batch, device)
            self._instrument = Instrument(self._model, batch, **self._options)
        snapshot = self._instrument.look(self._probes)
        self._looked = n
        if self._record is not None:
            self._thinned(self._record)
            self._record.look(n, snapshot, names=first)
            if self.log is not None:
                scalars = snapshot.scalars()
                self.log({f"{_PREFIX}/{name}": value for name, value in scalars.items()}, n)
        self._last_cost = time.perf_counter() - began
        self._spent += self._last_cost
        if time.perf_counter() - self._flushed > _FLUSH_S:
            self._flush(but=n)

    def _affordable(self) -> bool:
        if self._budget is None or not self._last_cost:
            return True
        elapsed = time.perf_counter() - self._began
        return self._spent + self._last_cost <= self._budget * elapsed

    def _thinned(self, record: RunRecord) -> None:
        """Record the looks that were left out since the last one."""
        if self._skipped:
            record.event(
                "thinned",
                self._skipped[-1],
                looks_left_out=len(self._skipped),
                first_step=self._skipped[0],
                budget=self._budget,
                seconds_of_looks=round(self._spent, 3),
                seconds_in_all=round(time.perf_counter() - self._began, 3),
            )
            self._skipped = []

    def _flush(self, but: int | None = None) -> None:
        """Write what was collected, but for the metrics of a step that may get more."""
        if self._record is None:
            return
        kept = {n: row for n, row in self._metrics.items() if n == but}
        self._record.metrics({n: row for n, row in self._metrics.items() if n != but})
        self._metrics = kept
        self._record.flush(self._step, spent_s=self._spent)
        self._flushed = time.perf_counter()


def _following(schedule: Schedule, step: int) -> float:
    following = schedule.following(step)
    return math.inf if following is None else following


def _claims(event: str | Mapping[str, str] | None) -> dict[str, Claim]:
    named = {"reached": event} if isinstance(event, str) else dict(event or {})
    if wrong := [name for name in named if not name.isidentifier()]:
        raise ConfigError(f"`event` must have names of letters, digits and `_`, got {wrong}.")
    claims = {name: Claim.parse(text) for name, text in named.items()}
    return {
        name: Claim(metric_name(c.series), c.level, c.at_most, c.persistence)
        for name, c in claims.items()
    }


def _said(options: Mapping[str, Any]) -> dict[str, str]:
    """Options of the looks, in words."""
    return {name: repr(value) for name, value in options.items()}

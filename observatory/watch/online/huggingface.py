"""Watching in the Trainer of Hugging Face."""

from collections.abc import Mapping
from typing import Any, final

from transformers import TrainerCallback

from observatory.watch.online.observer import Observe

_OURS = "observatory/"
_SUMMARY = ("train_", "total_flos")
"""How the names begin of what a trainer logs of the whole training as it ends."""


@final
class WatchCallback(TrainerCallback):
    """Steps an observer; see `Observe.attach`."""

    def __init__(self, watch: Observe, trainer: Any, settings: Mapping[str, Any] | None) -> None:
        self._watch, self._trainer, self._settings = watch, trainer, dict(settings or {})

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Begin, or go on at the step of the checkpoint."""
        settings = {
            "lr": args.learning_rate,
            "weight_decay": args.weight_decay,
            "seed": args.seed,
            **self._settings,
        }
        if self._watch.log is None:
            self._watch.log = lambda scalars, step: _log(self._trainer, scalars)
        epochs = state.num_train_epochs or 0
        self._watch.begin(
            given["model"],
            settings,
            step=state.global_step,
            horizon_steps=state.max_steps if state.max_steps > 0 else None,
            steps_per_epoch=round(state.max_steps / epochs) or None if epochs else None,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Step: once per optimizer update."""
        self._watch.step(state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **given: Any) -> None:
        """Keep what the trainer logs, but for what comes from here and for its summary."""
        metrics = {
            name: value
            for name, value in (logs or {}).items()
            if isinstance(value, int | float) and not name.startswith((_OURS, *_SUMMARY))
        }
        if set(metrics) - {"epoch"}:
            self._watch.step(state.global_step, **metrics)

    def on_save(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Write what was collected, so that a resume finds it."""
        self._watch.state_dict()

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """End."""
        self._watch.end()


def _log(trainer: Any, scalars: dict[str, float]) -> None:
    """A row of the trainer's log at the present step; it still logs its own one if it was to.

    What a callback adds to the row of others would come under a wrong step, and not to all.
    """
    was_to_log = trainer.control.should_log
    trainer.log(scalars)
    trainer.control.should_log = was_to_log

"""Watching in Lightning's Trainer, of `lightning.pytorch` or of `pytorch_lightning`."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, final

import torch

if TYPE_CHECKING:
    from lightning.pytorch import Callback
else:
    try:
        from lightning.pytorch import Callback
    except ImportError:
        from pytorch_lightning import Callback

from observatory.watch.online.described import optimizer_settings, plain_only
from observatory.watch.online.observer import Observe


@final
class WatchCallback(Callback):
    """Steps an observer; see `Observe.lightning`."""

    def __init__(
        self,
        watch: Observe,
        settings: Mapping[str, Any] | None,
        count: Callable[[Any], int] | None,
    ) -> None:
        self._watch, self._settings, self._count = watch, dict(settings or {}), count
        self._before: set[str] = set()
        self._of_validation: set[str] = set()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin, or go on at the step of the checkpoint."""
        settings = {
            **optimizer_settings(trainer.optimizers[0] if trainer.optimizers else None),
            **plain_only(pl_module.hparams),
            **self._settings,
        }
        planned = trainer.estimated_stepping_batches
        if self._watch.log is None:
            self._watch.log = lambda scalars, step: _log(trainer, scalars, step)
        batches = trainer.num_training_batches / trainer.accumulate_grad_batches
        self._watch.begin(
            pl_module,
            settings,
            step=self._step(trainer),
            horizon_steps=int(planned) if math.isfinite(planned) and planned > 0 else None,
            steps_per_epoch=math.ceil(batches) if math.isfinite(batches) else None,
        )

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Gradients are summed up and not clipped yet."""
        self._watch.gradients()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Step; what the module has logged is read where a look is due alone."""
        n = self._step(trainer)
        logged = _metrics(trainer) if self._watch.due(n) else {}
        fresh = {k: v for k, v in logged.items() if k not in self._of_validation}
        self._watch.step(n, **fresh)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Note what was logged before: the trainer keeps values that are old by then."""
        self._before = set(_metrics(trainer)) - self._of_validation

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep what a validation has found, at the step at which it was."""
        logged = _metrics(trainer)
        self._of_validation |= set(logged) - self._before
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            found = {k: v for k, v in logged.items() if k in self._of_validation}
            self._watch.step(self._step(trainer), **found)

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        """Write what was collected, so that a resume finds it."""
        self._watch.state_dict()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """End."""
        self._watch.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Leave the run unfinished: it may be resumed."""
        self._watch.pause()

    def _step(self, trainer: Any) -> int:
        return trainer.global_step if self._count is None else self._count(trainer)


def _log(trainer: Any, scalars: dict[str, float], step: int) -> None:
    for logger in trainer.loggers:
        logger.log_metrics(scalars, step=step)


def _metrics(trainer: Any) -> dict[str, Any]:
    """What the module has logged: tensors of one entry and numbers."""
    return {
        name: value
        for name, value in trainer.callback_metrics.items()
        if not isinstance(value, torch.Tensor) or value.numel() == 1
    }

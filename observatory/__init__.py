"""Trains many small networks as one, and maps where they memorise, grok or collapse.

The public surface. Every name is imported when first asked for: `import observatory` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from observatory import fits
    from observatory.analysis.report.figure import figure
    from observatory.core.errors import ConfigError, FitRefusedError, ObservatoryError, StoreError
    from observatory.core.schedule import Every, LogSpaced
    from observatory.fits import boundary as fit_boundary
    from observatory.fits import horizon as fit_horizon
    from observatory.fits import ratio as boundary_ratio
    from observatory.fits import seeds as plan_seeds
    from observatory.fits import survival as fit_survival
    from observatory.fits import times as fit_times
    from observatory.launch.train import train
    from observatory.store.reader import Run, Study
    from observatory.watch.instrument import probe
    from observatory.watch.low_precision.activation_ratio import activation_ratio
    from observatory.watch.low_precision.look import low_precision
    from observatory.watch.low_precision.series import LowPrecisionLooks
    from observatory.watch.online.observer import Observe
    from observatory.watch.reading.adapters import AttentionNotFoundError
    from observatory.watch.reading.patterns import softmax_scores

__version__ = "0.1.0"
__all__ = [
    "AttentionNotFoundError",
    "ConfigError",
    "Every",
    "FitRefusedError",
    "LogSpaced",
    "LowPrecisionLooks",
    "ObservatoryError",
    "Observe",
    "Run",
    "StoreError",
    "Study",
    "activation_ratio",
    "boundary_ratio",
    "figure",
    "fit_boundary",
    "fit_horizon",
    "fit_survival",
    "fit_times",
    "fits",
    "low_precision",
    "plan_seeds",
    "probe",
    "softmax_scores",
    "train",
]

_ERRORS = "observatory.core.errors"
_MODULES = {
    **dict.fromkeys(("ConfigError", "FitRefusedError", "ObservatoryError", "StoreError"), _ERRORS),
    **dict.fromkeys(("Run", "Study"), "observatory.store.reader"),
    "train": "observatory.launch.train",
    "AttentionNotFoundError": "observatory.watch.reading.adapters",
    **dict.fromkeys(("Every", "LogSpaced"), "observatory.core.schedule"),
    "Observe": "observatory.watch.online.observer",
    "softmax_scores": "observatory.watch.reading.patterns",
    "activation_ratio": "observatory.watch.low_precision.activation_ratio",
    "LowPrecisionLooks": "observatory.watch.low_precision.series",
    "low_precision": "observatory.watch.low_precision.look",
    "probe": "observatory.watch.instrument",
    "figure": "observatory.analysis.report.figure",
}
_EXTRAS = {"train": ("train",), "figure": ("analysis",)}
"""Extras that names need beside what is always installed."""
_FITS = {
    "boundary_ratio": "ratio",
    "fit_boundary": "boundary",
    "fit_horizon": "horizon",
    "fit_survival": "survival",
    "fit_times": "times",
    "plan_seeds": "seeds",
}
"""Fits by the name that they had before `observatory.fits`."""


def __getattr__(name: str) -> Any:
    if name == "fits":
        return import_module("observatory.fits")
    if name in _FITS:
        return getattr(import_module("observatory.fits"), _FITS[name])
    if name in _MODULES:
        if name in _EXTRAS:
            from observatory.core.extras import require

            require(*_EXTRAS[name], by=f"`observatory.{name}`")
        return getattr(import_module(_MODULES[name]), name)
    from observatory.core.settings import did_you_mean

    meant = did_you_mean(name, __all__)
    raise AttributeError(f"`observatory` has no `{name}`, only {__all__}.{meant}")


def __dir__() -> list[str]:
    return ["__version__", *__all__]

"""Trains many small networks as one, and maps where they memorise, grok or collapse.

The public surface. Every name is imported when first asked for: `import observatory` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from observatory.analysis.fit.api import (
        boundary_ratio,
        fit_boundary,
        fit_horizon,
        fit_survival,
        fit_times,
        plan_seeds,
    )
    from observatory.core.errors import FitRefusedError, ObservatoryError
    from observatory.launch.run import launch
    from observatory.store.reader import Study

__version__ = "0.1.0"
__all__ = [
    "FitRefusedError",
    "ObservatoryError",
    "Study",
    "boundary_ratio",
    "fit_boundary",
    "fit_horizon",
    "fit_survival",
    "fit_times",
    "launch",
    "plan_seeds",
]

_HOMES = {
    "FitRefusedError": "observatory.core.errors",
    "ObservatoryError": "observatory.core.errors",
    "Study": "observatory.store.reader",
    "boundary_ratio": "observatory.analysis.fit.api",
    "fit_boundary": "observatory.analysis.fit.api",
    "fit_horizon": "observatory.analysis.fit.api",
    "fit_survival": "observatory.analysis.fit.api",
    "fit_times": "observatory.analysis.fit.api",
    "launch": "observatory.launch.run",
    "plan_seeds": "observatory.analysis.fit.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"`observatory` has no `{name}`, only {sorted(_HOMES)}.")
    return getattr(import_module(_HOMES[name]), name)

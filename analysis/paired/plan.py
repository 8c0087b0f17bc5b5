"""Pairs that find an effect, planned from the effect alone."""

import math
from collections.abc import Mapping
from typing import Any

from observatory.analysis.fit.settings import draw_seed, settings_of, shared_setting
from observatory.analysis.fit.task import Part, Task
from observatory.analysis.paired.estimators.power import pairs_for_difference, power_of
from observatory.analysis.stats.estimate import Estimate, Parameter
from observatory.analysis.stats.solvers import alpha_of
from observatory.core.errors import ConfigError, FitRefusedError

_WHAT = ("effect", "difference", "sd")


def plan_task(options: Mapping[str, Any]) -> Task:
    """The plan by the options of a user, checked one by one already.

    Raises:
        ConfigError: If they do not say what to find, or the power is no more than 1 - level.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if {*_WHAT} & {*given} not in ({"effect"}, {"difference", "sd"}):
        found = {name: given[name] for name in _WHAT if name in given}
        raise ConfigError(
            "Either `effect` or both `difference` and `sd` must be given, got "
            f"{found or 'none of them'}. An effect is a difference in units of the standard "
            "deviation of paired differences."
        )
    effect = given["effect"] if "effect" in given else given["difference"] / given["sd"]
    if not math.isfinite(effect):
        raise ConfigError(f"`sd` is too small for this `difference`, got {given['sd']}.")
    usual = settings_of("paired", None)[1]
    power, least = given.get("power", usual["power"]), usual["min_pairs"]
    level, m = given.get("level", shared_setting("level")), given.get("n_tests", 1)
    if power <= (alpha := alpha_of(level)):
        raise ConfigError(
            f"`power` must be above 1 - level ({alpha:.3g}), got {power}: so often a test finds a "
            "difference where there is none. Raise `level` or `power`."
        )
    known: dict[str, Any] = {
        **{"fit": "pairs", "estimator": "t", "event": f"an effect of d = {effect:.4g}"},
        **{"level": level, "n": 0, "seed": draw_seed(None)},
    }

    def compute() -> Estimate:
        n = pairs_for_difference(effect, 1.0, power, alpha / m)
        if n is None:
            raise FitRefusedError(
                f"More than ten million pairs are needed to find d = {effect:.3g}. Ask for a "
                "larger effect."
            )
        said = [f"{n} would do, but a comparison takes {least} at least."] if n < least else []
        n = max(n, least)
        extras = {
            "method": "noncentral t; (1 - level) / n_tests, the first step of Holm",
            **{"effect": effect, "difference": given.get("difference"), "sd": given.get("sd")},
            **{"n_tests": m, "power_asked": power, "power": power_of(effect, n, alpha / m)},
        }
        params = {"n_pairs": Parameter(float(n))}
        return Estimate(**known, params=params, extras=extras, warnings=said)

    return Task("pairs", [Part(**known, compute=compute)])

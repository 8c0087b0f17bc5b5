"""The logits are multiplied before the loss of a step: an output temperature."""

import math
from typing import final

from observatory.core.settings import Positive, check_arguments
from observatory.interventions.contract import Given, Setting


@final
class LogitScale(Setting):
    """The loss of every step is that of the logits times a factor, as if divided by a temperature.

    Evaluations and probes see the network's own logits: accuracies mean the same, and the loss of
    the tables is at temperature 1.

    Args:
        factor: One over the temperature, at strength 1; at strength s its s-th power.
    """

    def __init__(self, *, factor: Positive) -> None:
        check_arguments(LogitScale, factor=factor)
        self.factor, self.strongest = factor, math.inf

    def changed(self, own: Given, strength: float) -> Given:
        """The scale alone."""
        return own._replace(logit_scale=own.logit_scale * self.factor**strength)

"""Laws of the median time to grok in learning rate and weight decay.

Letters: l = ln lr, g = ln(weight_decay - critical), u = l + g; eta = ln of the part of the time
that falls, linear in some of l, g, u; mu = ln of the median time = ln(constant + exp(eta)).
Axes are centred, so that the numbers of a fit are of size 1.
"""

from dataclasses import dataclass

import numpy as np

from observatory.analysis.stats.observations import Array


@dataclass(frozen=True)
class ClockLaw:
    """One law: which numbers it has free.

    Attributes:
        lr: Whether times depend on the learning rate, and how: "none", "product" (through lr times
            weight decay alone), or "own" (with an exponent of its own).
        exponent: Whether the exponent of weight decay is free; else 1.
        bend: Whether ln t may curve in ln of the product, or of weight decay where lr is not in it.
        constant: Whether a part of the time depends on nothing.
        critical: Whether weight decay counts from a critical one.
    """

    lr: str
    exponent: bool = True
    bend: bool = False
    constant: bool = False
    critical: bool = False

    @property
    def n_linear(self) -> int:
        """Numbers of eta: amplitude, exponents, bend."""
        return 1 + int(self.exponent) + int(self.lr == "own") + int(self.bend)

    @property
    def n_params(self) -> int:
        """All numbers, the two of the scatter among them."""
        return self.n_linear + int(self.constant) + int(self.critical) + 2


LAWS = {
    "clock_inverse": ClockLaw("product", exponent=False),
    "clock": ClockLaw("product"),
    "clock_constant": ClockLaw("product", constant=True),
    "clock_bent": ClockLaw("product", bend=True),
    "separate": ClockLaw("own"),
    "separate_constant": ClockLaw("own", constant=True),
    "separate_bent": ClockLaw("own", bend=True),
    "threshold": ClockLaw("none", critical=True),
    "threshold_constant": ClockLaw("none", constant=True, critical=True),
    "threshold_clock": ClockLaw("product", critical=True),
    "threshold_clock_constant": ClockLaw("product", constant=True, critical=True),
    "threshold_separate": ClockLaw("own", critical=True),
    "threshold_separate_constant": ClockLaw("own", constant=True, critical=True),
}
"""t = constant + C / (lr weight_decay)^a and its nested and rival laws; those with `critical` count
weight decay from a threshold."""
WITHOUT = tuple(name for name, law in LAWS.items() if not law.critical)
WITH = tuple(name for name, law in LAWS.items() if law.critical)


@dataclass(frozen=True)
class RecordAxes:
    """Learning rate and weight decay of every record, and the places from which they count."""

    lr: Array  # `[record]`
    weight_decay: Array  # `[record]`
    log_lr: float  # centre of ln lr
    log_decay: float  # centre of ln weight_decay

    @classmethod
    def of(cls, lr: Array, weight_decay: Array) -> "RecordAxes":
        """RecordAxes centred on the means of the records."""
        return cls(lr, weight_decay, float(np.log(lr).mean()), float(np.log(weight_decay).mean()))

    @property
    def scatter(self) -> Array:
        """Centred ln of the product, along which the scatter may change, `[record]`."""
        product = np.log(self.lr * self.weight_decay)
        return (product - product.mean()) / max(float(np.ptp(product)), 1e-9)

    def design(self, law: ClockLaw, critical: Array) -> tuple[Array, Array]:
        """The columns of eta and its part that is held, at critical points `[problem]`.

        Returns:
            `[problem, record, linear]` and `[problem, record]`. Where weight decay is not above the
            critical point the columns are finite and mean nothing.
        """
        gap = self.weight_decay - critical[:, None]
        above = gap > 0
        g = np.log(np.where(above, gap, np.exp(self.log_decay))) - self.log_decay
        own_l = np.broadcast_to(np.log(self.lr) - self.log_lr, g.shape)
        along = g + own_l if law.lr == "product" else g
        columns = [np.ones_like(g)]
        held = np.zeros_like(g)
        if law.exponent:
            columns.append(-along)
        else:
            held = -along
        if law.lr == "own":
            columns.append(-own_l)
        if law.bend:
            columns.append((g + own_l) ** 2 if law.lr == "product" else g**2)
        return np.stack(columns, axis=-1), held

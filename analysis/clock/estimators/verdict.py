"""Threshold or clock: what slopes and laws together say of a boundary, by one rule."""

from collections.abc import Mapping
from dataclasses import dataclass

from observatory.analysis.clock.estimators.fitting import LawFit
from observatory.analysis.clock.estimators.laws import WITH, WITHOUT
from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.observations import critical_words

UNDECIDED = 2.0
"""Difference of AIC within which two laws cannot be distinguished."""
BELOW = 0.25
"""Share of the smallest boundary above which a critical point speaks against a clock."""
CLOCK, THRESHOLD, BOTH, CANNOT_TELL = "clock", "threshold", "both", "cannot tell"


@dataclass(frozen=True)
class LawEvidence:
    """What the times say under one distribution."""

    fits: Mapping[str, LawFit]  # every law, by its name

    def best(self, names: tuple[str, ...]) -> LawFit:
        """The law with the smallest AIC among some."""
        return min((self.fits[name] for name in names), key=lambda fit: fit.aic)

    @property
    def gain(self) -> float:
        """By how much the best law with a critical point has the smaller AIC."""
        return self.best(WITHOUT).aic - self.best(WITH).aic

    @property
    def critical(self) -> LawFit:
        """The law whose critical point is held against the boundary."""
        return self.best(WITH)


def holds(parameter: Parameter, value: float) -> bool:
    """Whether a number lies in an interval."""
    low, high = parameter.ci_low, parameter.ci_high
    return (low is None or low <= value) and (high is None or value <= high)


def _above_zero(parameter: Parameter) -> bool:
    return parameter.ci_low is not None and parameter.ci_low > 0.0


def _said(name: str, parameter: Parameter) -> str:
    return f"{name} = {parameter.value:.3g} [{parameter.ci_low:.3g}, {parameter.ci_high:.3g}]"


@dataclass(frozen=True)
class Claims:
    """What the rule asks, each true or false."""

    lr_inverse: bool  # b contains 1 and not 0
    lr_none: bool  # b contains 0 and not 1
    lr_some: bool  # b is above 0
    moves: bool  # c is above 0
    stays: bool  # c is as a threshold has it
    gained: bool  # a law with a critical point is better, under every distribution
    needless: bool  # it is better under none
    small: bool  # and its critical point is small, under every distribution
    ended: bool  # a critical point lies at the end of its search

    @property
    def verdict(self) -> str:
        """By the rule of the documentation."""
        if self.gained and not self.ended:
            if self.lr_none and self.stays:
                return THRESHOLD
            if self.lr_some and self.moves:
                return BOTH
        if self.lr_inverse and self.moves and self.needless and self.small:
            return CLOCK
        return CANNOT_TELL


def claims_of(
    b: Parameter,
    c: Parameter,
    evidence: Mapping[str, LawEvidence],
    smallest: float,
    *,
    threshold_moves: bool,
) -> Claims:
    """What slopes and laws say.

    Args:
        b: Slope of the boundary against ln lr, sign turned.
        c: Slope against ln horizon, likewise.
        evidence: By distribution of the times.
        smallest: The smallest boundary seen.
        threshold_moves: Whether the boundary of a threshold may still come nearer to it as the
            horizon grows: c must then exclude 1; else it must contain 0.
    """
    each = list(evidence.values())
    gains = [one.gain for one in each]
    return Claims(
        lr_inverse=holds(b, 1.0) and not holds(b, 0.0),
        lr_none=holds(b, 0.0) and not holds(b, 1.0),
        lr_some=_above_zero(b),
        moves=_above_zero(c),
        stays=not holds(c, 1.0) if threshold_moves else holds(c, 0.0),
        gained=all(gain > UNDECIDED for gain in gains),
        needless=all(gain <= UNDECIDED for gain in gains),
        small=all(one.critical.critical <= BELOW * smallest for one in each),
        ended=any(one.critical.at_limit for one in each),
    )


def reason_of(
    verdict: str,
    claims: Claims,
    b: Parameter,
    c: Parameter,
    evidence: Mapping[str, LawEvidence],
    control: str,
) -> str:
    """Why a verdict, in a few sentences."""
    critical = critical_words(control)
    gains = ", ".join(f"{one.gain:.1f} ({name})" for name, one in evidence.items())
    points = ", ".join(f"{e.critical.critical:.3g} ({name})" for name, e in evidence.items())
    slopes = f"{_said('b', b)} and {_said('c', c)}"
    if verdict == CLOCK:
        return (
            f"The boundary moves with lr and horizon as a clock has it, {slopes}, and no law with "
            f"a {critical} is better by more than {UNDECIDED:g} in AIC (gains {gains})."
        )
    if verdict in (THRESHOLD, BOTH):
        lr = "does not move with lr" if verdict == THRESHOLD else "moves with lr"
        return (
            f"The boundary {lr}, {slopes}, and laws with a {critical} are better than every law "
            f"without (AIC lower by {gains}); it is {points}."
        )
    why: list[str] = []
    if claims.ended:
        why.append(
            f"a {critical} lies at the end of its search, the smallest {control} with the event: "
            "that is no estimate"
        )
    if holds(b, 0.0) and holds(b, 1.0):
        why.append(f"the interval of b holds both 0 and 1 ({_said('b', b)})")
    if b.ci_high is not None and b.ci_high < 0.0:
        why.append(f"the boundary rises with lr, as neither has it ({_said('b', b)})")
    if not claims.moves and not claims.lr_none:
        why.append(f"the interval of c holds 0 ({_said('c', c)})")
    if claims.lr_none and not claims.stays:
        why.append(f"the boundary does not move with lr, but with the horizon ({_said('c', c)})")
    if not claims.gained and not claims.needless:
        why.append(f"the distributions disagree on a {critical} (gains in AIC {gains})")
    if claims.needless and claims.lr_none:
        why.append(f"laws without a {critical} fit as well (gains in AIC {gains})")
    if claims.needless and claims.lr_some and not claims.lr_inverse:
        why.append(f"without a {critical} b should be 1 ({_said('b', b)})")
    if claims.needless and not claims.small:
        why.append(f"a {critical} of more than a quarter of the boundary fits too ({points})")
    return f"{slopes}; {'; '.join(why)}." if why else f"{slopes}; gains in AIC {gains}."

"""A rate of the training is another from a moment on: weight decay, or learning rate."""

from typing import Literal, final

from observatory.core.errors import ConfigError
from observatory.core.settings import NotNegative, check_arguments
from observatory.interventions.contract import Given, Setting, between


@final
class Rate(Setting):
    """A rate takes another value; at strength s it goes the share s of the way on a log scale.

    From or to 0 the way is straight. Of schedules, such as a warm-up, the rate is the largest.

    Args:
        name: "weight_decay" or "lr".
        to: The other value, or None.
        times: In place of it: by which the replica's own is multiplied, or None.
    """

    def __init__(
        self,
        *,
        name: Literal["weight_decay", "lr"],
        to: NotNegative | None = None,
        times: NotNegative | None = None,
    ) -> None:
        check_arguments(Rate, name=name, to=to, times=times)
        if (to is None) == (times is None):
            raise ConfigError(
                f"`to` or `times` must be given, and one of them only, got {to} and {times}."
            )
        if name == "lr" and 0 in (to, times):
            raise ConfigError(
                "`to` and `times` of lr must be positive, got 0. To keep weights as they are, take "
                "the intervention Freeze."
            )
        self.name, self.to, self.times = name, to, times

    def changed(self, own: Given, strength: float) -> Given:
        """That rate alone."""
        before = own.weight_decay if self.name == "weight_decay" else own.lr
        after = self.to if self.times is None else self.times * before
        assert after is not None
        return own._replace(**{self.name: between(before, after, strength)})

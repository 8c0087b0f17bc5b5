"""An arm of an experiment: what is done, when, and how strongly. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from observatory.interventions.moments import Moment

if TYPE_CHECKING:
    from observatory.interventions.contract import Intervention


@final
@dataclass(frozen=True)
class Arm:
    """One way in which a copy of every replica of a run goes on.

    Attributes:
        intervention: What is done to the copy.
        moment: When it parts from the replica.
        strength: Of what is done: 0 leaves the copy as the replica is, 1 does it in full.
        control: The arm that it is compared with: as large a change without its content; None:
            there is none.
    """

    intervention: "Intervention"
    moment: Moment
    strength: float
    control: str | None


def without_control(arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Of the arms of a configuration those that have no control among them, and are none.

    Args:
        arms: Settings of each by name.

    Example:
        >>> without_control({"act": {"control": "noise"}, "noise": {"control": None}})
        []
        >>> without_control({"act": {"control": "noise"}})
        ['act']
    """
    controls = {settings.get("control") for settings in arms.values()}
    return [
        name
        for name, settings in arms.items()
        if settings.get("control") not in arms and name not in controls
    ]

"""Every error that is raised on purpose, with the exit code that the command line gives it."""

from collections.abc import Mapping
from typing import Any, ClassVar


class ObservatoryError(Exception):
    """Root of all errors that a user can act on."""

    exit_code: ClassVar[int] = 1


class ConfigError(ObservatoryError, ValueError):
    """A setting is outside its rule; raised before any compute is spent."""

    exit_code = 2


class MissingExtraError(ObservatoryError, ImportError):
    """A package that only an extra brings is not installed; the message has the command."""

    exit_code = 2


class StoreError(ObservatoryError):
    """The run store cannot be read or written as asked; what was recorded is intact."""

    exit_code = 2


class BusyError(StoreError):
    """Another live process owns this run."""

    exit_code = 4


class FitRefusedError(ObservatoryError):
    """The data cannot decide what the fit was asked; the message says why and what to add.

    Attributes:
        record: The fit as `fits.json` would hold it, with the reason; None where it was not made
            by a question.
    """

    exit_code = 3
    record: Mapping[str, Any] | None = None


class DisturbedError(ObservatoryError):
    """A look changed what it must leave alone; the message names what.

    Args:
        changes: What was changed, an entry each.
        message: For people.
    """

    def __init__(self, changes: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.changes = changes

"""Every error that is raised on purpose, with the exit code that the command line gives it."""

from typing import ClassVar


class ObservatoryError(Exception):
    """Root of all errors that a user can act on."""

    exit_code: ClassVar[int] = 1


class ConfigError(ObservatoryError, ValueError):
    """A setting is outside its rule; raised before any compute is spent."""

    exit_code = 2


class StoreError(ObservatoryError):
    """The run store cannot be read or written as asked; what was recorded is intact."""

    exit_code = 2


class BusyError(StoreError):
    """Another live process owns this run."""

    exit_code = 4


class DivergedError(ObservatoryError):
    """A single network went non-finite where a finite one was required."""


class FitRefusedError(ObservatoryError):
    """The data cannot decide what the fit was asked; the message says why and what to add."""

    exit_code = 3

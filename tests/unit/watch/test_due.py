"""Which looks a training takes does not depend on where it was stopped."""

import pytest

from observatory.core.schedule import AnyOf, At, Every, LogSpaced, Schedule
from observatory.watch.online.due import DueLooks

PROBES = ("attention", "weight_spectrum")
LAST = 60


def looks(
    due: DueLooks, first: int, kept: dict[int, dict[str, float | None]] | None = None
) -> list[tuple[int, tuple[str, ...], bool]]:
    """Steps from `first` on that look, and at what; `kept` receives what a checkpoint keeps."""
    found = []
    for n in range(first, LAST + 1):
        if due.due(n) if n else due.every.due(0):
            due.passed(n)
            found.append((n, due.at(n), due.low_precision(n)))
        if kept is not None:
            kept[n] = due.state()
    return found


@pytest.mark.parametrize("spectra", [None, Every(14), At((3, 7, 29)), At((100,)), LogSpaced(3)])
@pytest.mark.parametrize(
    "every", [Every(1), Every(4), LogSpaced(5), At((5, 9, 33)), AnyOf((Every(25), LogSpaced(2)))]
)
def test_a_stop_anywhere_changes_no_look(every: Schedule, spectra: Schedule | None) -> None:
    due = DueLooks(every, spectra, PROBES, Every(10))
    kept: dict[int, dict[str, float | None]] = {}
    whole = looks(due, 0, kept)
    for made in range(1, LAST):
        for state in ({}, kept[made]):
            due.begin(made, state)
            rest = [each for each in whole if each[0] > made]
            assert looks(due, made + 1) == rest, (made, state)


def test_a_loop_that_looks_late_goes_on_from_what_its_checkpoint_keeps() -> None:
    """Steps said every third update: the costly look due at 4 was that at 6."""
    due = DueLooks(Every(4), At((5,)), PROBES)
    for n in (3, 6):
        if due.due(n):
            due.passed(n)
            due.at(n)
    due.begin(6, due.state())
    assert due.at(9) == ("attention",)

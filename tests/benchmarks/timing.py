"""What measurements of cost share: the laptop map's parts, a fleet that trains, process time."""

import statistics
import time
from collections.abc import Callable

from observatory.fleet.fleet import Fleet
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.training.build import Parts, build


def laptop(*overrides: str) -> Parts:
    """The parts of the laptop map as one shard, overridden."""
    return build(
        resolved(compose("train", ["experiment=laptop_map", "fleet.shards=1", *overrides]))
    )


def cpu_ms(action: Callable[[], object]) -> float:
    """Process time of one call."""
    before = time.process_time()
    action()
    return 1e3 * (time.process_time() - before)


def seated(parts: Parts) -> Fleet:
    """A fleet whose slots are filled and that has made its first steps."""
    fleet = parts.shard(0, 1)
    fleet.fill()
    fleet.advance(3)
    return fleet


def spread(name: str, values: list[float]) -> str:
    """A row of a table: the median and the range of the rounds."""
    return f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} to {max(values):.2f} |"

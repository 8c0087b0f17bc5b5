"""A live table of a run for a terminal; silent elsewhere."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from observatory.events.outcome import OUTCOMES
from observatory.store.files import read_json
from observatory.store.reader import Run


@contextmanager
def live(folder: Path) -> Iterator[None]:
    """Show a run's progress while open, refreshed from what its shards report."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    run, over = Run(folder), threading.Event()
    began = time.monotonic()
    with Live(console=console, auto_refresh=False, transient=False) as display:

        def refresh() -> None:
            while not over.wait(1.0):
                display.update(picture(run.progress(), time.monotonic() - began), refresh=True)

        thread = threading.Thread(target=refresh, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            display.update(picture(run.progress(), time.monotonic() - began), refresh=True)


def cells(progress: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Counts per weight decay, summed over shards, in increasing order."""
    total: dict[str, dict[str, int]] = {}
    for shard in progress:
        for weight_decay, counts in shard["cells"].items():
            cell = total.setdefault(weight_decay, dict.fromkeys(counts, 0))
            for name, count in counts.items():
                cell[name] += count
    return dict(sorted(total.items(), key=lambda item: float(item[0])))


def picture(progress: list[dict[str, Any]], elapsed_s: float) -> Group:
    """The table and the line below it."""
    columns = ("queued", "alive", *OUTCOMES)
    table = Table(title=None, box=None, pad_edge=False)
    table.add_column("weight decay", justify="right")
    for name in columns:
        table.add_column(name, justify="right")
    for weight_decay, counts in cells(progress).items():
        table.add_row(weight_decay, *(str(counts[name] or "·") for name in columns))
    return Group(table, Text(summary(progress, elapsed_s)))


def summary(progress: list[dict[str, Any]], elapsed_s: float) -> str:
    """Steps, speed and an upper bound on the time left, in one line."""
    if not progress:
        return f"starting ({elapsed_s:.0f} s)"
    steps = sum(shard["replica_steps"] for shard in progress)
    speed = sum(shard["replica_steps"] / max(shard["wall_s"], 1e-9) for shard in progress)
    left = seconds_left(progress)
    finished = sum(shard["finished"] for shard in progress)
    total = finished + sum(shard["active"] + shard["queued"] for shard in progress)
    return (
        f"{finished}/{total} replicas finished, {steps:,} replica-steps, {speed:,.0f} a second, "
        f"{'' if left is None else f'at most {left:.0f} s left, '}{elapsed_s:.0f} s elapsed"
    )


def seconds_left(progress: list[dict[str, Any]]) -> float | None:
    """Of the slowest shard, at the speed it had so far; None where none has made a step."""
    left = [
        shard["steps_left"] * shard["wall_s"] / shard["replica_steps"]
        for shard in progress
        if shard["status"] != "done" and shard["replica_steps"]
    ]
    return max(left, default=None)


def cost_text(folder: Path) -> str:
    """What a run cost and what its time went into, in two lines."""
    cost = read_json(folder / "manifest.json")["cost"]
    shares = [
        f"{purpose} {100 * share:.1f}%"
        for purpose, share in sorted(cost["shares"].items(), key=lambda item: -item[1])
    ]
    return (
        f"{cost['replica_steps']:,} replica-steps in {cost['wall_s']:.0f} s wall, "
        f"{cost['cpu_s']:.0f} CPU-s, of which\n{', '.join(shares)}"
    )

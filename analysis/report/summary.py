"""What a reader learns in half a minute: three sentences, and a title in a person's words."""

from collections.abc import Mapping
from typing import Any

from observatory.analysis.page.facts import Facts
from observatory.analysis.page.records import Record, estimator_name, limits
from observatory.analysis.page.wording import estimate, horizon_words, verdict_sentence
from observatory.analysis.report.answer import peak

_OPERATIONS = {
    "add": "addition",
    "sub": "subtraction",
    "mul": "multiplication",
    "div": "division",
}
_LETTERS = {"mlp": "MLP", "lstm": "LSTM", "li2": "Li2's two-layer network"}


def summary(facts: Facts) -> list[str]:
    """Where the boundary lies, where the event is seen, and whether the boundary is a threshold."""
    sentences = [_boundary(facts), peak(facts), _verdict(facts)]
    return [sentence for sentence in sentences if sentence]


def _boundary(facts: Facts) -> str:
    within = horizon_words(facts.horizon, facts.group.steps_per_epoch)
    if not facts.boundaries:
        return f"No boundary was fitted within {within}."
    lead = facts.boundaries[0]
    given = [record for record in facts.boundaries if limits(record, "critical")]
    if not given:
        return f"No boundary is given within {within}: {lead['refused']}"
    record = lead if lead["refused"] is None else given[0]
    what = "to the event" if facts.group.observed else "from memorising to grokking"
    return (
        f"Within {within}, weight decay switches the network {what} at λc = "
        f"{estimate(record, 'critical')} ({estimator_name(record)}{_level(record)}, n = "
        f"{record['n']} replicas)."
    )


def _level(record: Record) -> str:
    _, low, high = limits(record, "critical") or (None, None, None)
    return "" if low is None or high is None else f", {record['level']:.0%} interval"


def _verdict(facts: Facts) -> str:
    record = facts.single("horizon")
    if record is None:
        return ""
    verdict, deciding = str(record["extras"].get("verdict")), record["extras"]
    words = verdict_sentence(verdict)
    steps = deciding.get("deciding_horizon")
    return words if steps is None else f"{words} A horizon of {steps:.0f} steps would decide."


def title_of(manifest: Mapping[str, Any]) -> str:
    """Model and task of a run, such as "Transformer, addition modulo 31".

    Example:
        >>> config = {"task": {"operation": "add", "p": 31}}
        >>> title_of({"model": {"name": "lstm"}, "task": {"name": "add"}, "config": config})
        'LSTM, addition modulo 31'
    """
    if "task" not in manifest:
        return "Observed trainings"
    model = str(manifest["model"]["name"])
    task, settings = str(manifest["task"]["name"]), manifest["config"].get("task", {})
    operation = str(settings.get("operation", task))
    words = _OPERATIONS.get(operation, task.replace("_", " "))
    if settings.get("p") is not None:
        words += f" modulo {settings['p']}"
    if settings.get("random_labels"):
        words += ", random labels"
    return f"{_LETTERS.get(model, model.replace('_', ' ').capitalize())}, {words}"

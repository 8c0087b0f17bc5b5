"""Whether the parts of a run suit each other: probes and the network, the network and the task."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from observatory.core.contracts import Measurement, Model, Probe, Task
from observatory.core.errors import ConfigError, ObservatoryError
from observatory.core.rng import named_generator
from observatory.core.schedule import Schedule
from observatory.core.view import FleetView
from observatory.fleet.every_example import latin_square


@dataclass(frozen=True)
class Scheduled:
    """A probe and when it looks."""

    probe: Probe
    schedule: Schedule


def possible_probes(
    probes: Mapping[str, Scheduled], network: Model, task: Task
) -> tuple[dict[str, Scheduled], dict[str, str]]:
    """The probes that can look at this network on this task, and why the others cannot.

    A model without heads has no attention to look at: that is no mistake of the user's, so the rest
    is measured and the manifest says what is not.
    """
    declared = {"logits", *(name.rsplit(".", 1)[-1] for name in network.hooks())}
    possible, unavailable = dict[str, Scheduled](), dict[str, str]()
    for name, scheduled in probes.items():
        missing = [kinds for kinds in scheduled.probe.needs if not declared.intersection(kinds)]
        if missing:
            unavailable[name] = f"{type(network).__name__} has no {' or '.join(missing[0])}"
        elif scheduled.probe.needs_group and latin_square(task) is None:
            unavailable[name] = "the answers of the task fill no Latin square on a group"
        else:
            possible[name] = scheduled
    return possible, unavailable


def check_order(network: Model, task: Task) -> None:
    """Refuse a network that cannot see the order of two operands on a task in which it matters.

    Raises:
        ConfigError: If swapping the operands changes an answer, but no logit of a fresh network.
    """
    assert isinstance(network, nn.Module)
    inputs = task.inputs()
    if inputs.shape[1] != 2:
        return
    labels = task.labels(named_generator(0, "labels"))
    answers = dict(zip(map(tuple, inputs.tolist()), labels.tolist(), strict=True))
    differs = [
        (a, b) for (a, b), answer in answers.items() if answers.get((b, a), answer) != answer
    ]
    if not differs:
        return
    rng = named_generator(0, "init")
    network.initialise(rng)
    pairs = torch.tensor(differs[:64])
    with torch.no_grad():
        for parameter in network.parameters():  # a readout that starts at zero hides everything
            parameter += 0.01 * torch.randn(parameter.shape, generator=rng)
        logits, swapped = network(pairs), network(pairs.flip(1))
    if torch.allclose(logits, swapped, rtol=1e-4, atol=1e-6 * float(logits.abs().max())):
        a, b = differs[0]
        raise ConfigError(
            f"`model` must see the order of the operands: {type(network).__name__} gives the same "
            f"logits for ({a}, {b}) and ({b}, {a}), whose answers differ. Give it positions, or "
            "choose a symmetric task such as addition."
        )


def measured_by(name: str, probe: Probe, view: FleetView) -> Measurement:
    """What a probe measures, which may be the user's own.

    Raises:
        ConfigError: If it raises, or gives no values by column.
    """
    try:
        measured = probe.measure(view)
    except ObservatoryError:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise ConfigError(
            f"The probe `{name}` raised {error!r} ({where.filename}:{where.lineno}). Correct it, "
            "or leave it out of `probe`."
        ) from error
    if not isinstance(measured, Mapping):
        raise ConfigError(
            f"The probe `{name}` must give a value for each of its columns, got {measured!r}."
        )
    return measured

"""From a resolved configuration to checked objects: the last place that knows configuration."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import hydra.errors
import hydra.utils
import numpy as np
import torch
from torch import nn

from observatory.core.contracts import Loss, Model, Optimizer, Probe, Task
from observatory.core.errors import ConfigError
from observatory.core.rng import named_generator
from observatory.core.schedule import Schedule
from observatory.core.setting_types import check_types, declared
from observatory.fleet.batches import batch_examples
from observatory.fleet.evaluate import EvaluationSettings
from observatory.fleet.fleet import Fleet, FleetSettings, probe_examples
from observatory.fleet.replicas import Dataset, ReplicaTable
from observatory.fleet.rules import Event, Looks, RetirementRules
from observatory.fleet.stack import layout_of
from observatory.maths.settings import check_name, check_sizes

Config = dict[str, Any]
_AXES = {"weight_decay": float, "lr": float, "seed": int}
AXES = tuple(_AXES)
_UNKNOWN = re.compile(r"got an unexpected keyword argument '(\w+)'")
_SHARED = {
    "train_fraction": float,
    "batch_size": int | None,
    "horizon_steps": int,
    "modulus": int,
    "allow_other_version": bool,
    "seed": int,
}
_OPTIMIZER = {"decay": str, "weight_decay": float | list[float], "lr": float | list[float]}
_STORE = {"checkpoint_every": int, "progress_every": float, "final_weights": bool}
"""Types of settings that no class declares."""
NEEDED_EVENTS = ("mem", "first99", "held99")


@dataclass(frozen=True)
class Scheduled:
    """A probe and when it looks."""

    probe: Probe
    schedule: Schedule


@dataclass(frozen=True)
class Parts:
    """Everything that a run is made of, checked.

    `absent` says of every probe that was asked for and is not in `probes` why it cannot look;
    `final_weights`, whether a replica that leaves writes its parameters.
    """

    dataset: Dataset
    network: nn.Module
    loss: Loss
    optimizer: Optimizer
    events: dict[str, Event]
    probes: dict[str, Scheduled]
    absent: dict[str, str]
    rules: RetirementRules
    evaluation: EvaluationSettings
    fleet: FleetSettings
    table: ReplicaTable
    final_weights: bool

    @property
    def batch_examples(self) -> int:
        """Examples per replica and step."""
        return batch_examples(self.dataset.n_train, self.fleet.batch_size)

    def probe_examples(self) -> torch.Tensor:
        """Operands of the examples that probes look at, `[batch, pos]`."""
        seed, n = self.fleet.study_seed, self.fleet.probe_examples
        return self.dataset.inputs[probe_examples(len(self.dataset), n, seed)]

    def shard(self, index: int, shards: int) -> Fleet:
        """The fleet of one shard, with nobody seated yet."""
        return Fleet(
            self.network,
            self.dataset,
            self.loss,
            self.optimizer,
            self.table.shard(index, shards),
            self.fleet,
            self.evaluation,
        )


def replica_table(config: Config) -> ReplicaTable:
    """All replicas of a run: the product of the sweep's axes, each extra block after it.

    An axis that a block does not name takes `optimizer.weight_decay`, `optimizer.lr` or `seed`.
    Identities follow the order of the blocks; the queue is ordered by weight decay, smallest first,
    because those replicas train longest.

    Raises:
        ConfigError: If an axis is unknown or empty, or a replica is named twice.
    """
    sweep = config["sweep"]
    base = {**sweep["scientific"], **sweep["nuisance"], **sweep["fixed"]}
    single = {
        "weight_decay": config["optimizer"]["weight_decay"],
        "lr": config["optimizer"]["lr"],
        "seed": config["seed"],
    }
    rows: list[tuple[float, float, int]] = []
    for block in [base, *sweep["extra"]]:
        if unknown := set(block) - set(AXES):
            raise ConfigError(f"`sweep` axes must be among {list(AXES)}, got {sorted(unknown)}.")
        axes = [block.get(axis, single[axis]) for axis in AXES]
        lists = [axis if isinstance(axis, list) else [axis] for axis in axes]
        if empty := [name for name, values in zip(AXES, lists, strict=True) if not values]:
            raise ConfigError(f"`sweep` axis `{empty[0]}` must hold at least one value, got none.")
        for name, values in zip(AXES, lists, strict=True):
            for value in values:
                check_types(_AXES, {name: value})
        rows += [(float(w), float(lr), seed) for w, lr, seed in itertools.product(*lists)]
    if len(set(rows)) < len(rows):
        twice = next(row for row in rows if rows.count(row) > 1)
        raise ConfigError(
            f"`sweep` names the replica (weight_decay, lr, seed) = {twice} twice. Remove one."
        )
    weight_decay, lr, seed = (np.array(column) for column in zip(*rows, strict=True))
    order = np.lexsort((seed, lr, weight_decay))
    replica = np.arange(len(rows))
    return ReplicaTable(
        replica[order], seed[order].astype(np.int64), weight_decay[order], lr[order]
    )


def build(config: Config) -> Parts:
    """Check a resolved configuration and make its objects, before any compute is spent.

    Raises:
        ConfigError: If a setting breaks its rule; the message says which, why and what to do.
    """
    check_types(_SHARED, config)
    task = _make(config["task"])
    dataset = Dataset.of(task, config["train_fraction"])
    network = _make(
        config["model"],
        d_vocab=task.n_symbols,
        n_classes=task.n_classes,
        n_operands=dataset.inputs.shape[1],
    )
    if not isinstance(network, nn.Module):
        raise ConfigError(f"`model` must name an nn.Module, got {type(network).__name__}.")
    if not isinstance(network, Model):
        raise ConfigError(
            "`model` must implement initialise(), hooks() and weights(), got "
            f"{type(network).__name__}."
        )
    layout_of(network)  # every parameter is declared
    check_order(network, task)
    settings = config["fleet"]
    for group, types in (
        ("evaluation", declared(EvaluationSettings)),
        ("retirement", declared(RetirementRules)),
        ("fleet", declared(FleetSettings)),
        ("optimizer", _OPTIMIZER),
        ("store", _STORE),
    ):
        check_types(types, config.get(group, {}), f"{group}.")
    check_sizes(checkpoint_every=config.get("store", {}).get("checkpoint_every", 1))
    evaluation = EvaluationSettings(
        every=config["evaluation"]["every"],
        subset=config["evaluation"]["subset"],
        full=None if config["evaluation"]["full"] is None else _make(config["evaluation"]["full"]),
        chunk=config["evaluation"]["chunk"],
    )
    rules = RetirementRules(horizon_steps=config["horizon_steps"], **config["retirement"])
    probes, absent = possible_probes(
        {
            name: Scheduled(probe=_make(entry["probe"]), schedule=_make(entry["schedule"]))
            for name, entry in config.get("probe", {}).items()
        },
        network,
    )
    parts = Parts(
        dataset=dataset,
        network=network,
        loss=_make(config["loss"]),
        optimizer=_make(config["optimizer"]["update"]),
        events={name: _make(entry) for name, entry in config.get("event", {}).items()},
        probes=probes,
        absent=absent,
        rules=rules,
        evaluation=evaluation,
        fleet=FleetSettings(
            size=settings["size"],
            batch_size=config["batch_size"],
            dtype=settings["dtype"],
            loss_dtype=settings["loss_dtype"],
            path=settings["path"],
            decay=config["optimizer"]["decay"],
            device=settings["device"],
            probe_examples=settings["probe_examples"],
            probe_buffer=settings["probe_buffer"],
            study_seed=config["seed"],
        ),
        table=replica_table(config),
        # none in the configuration of a run that was begun before there was one
        final_weights=config.get("store", {}).get("final_weights", False),
    )
    _check_together(parts)
    return parts


def _check_together(parts: Parts) -> None:
    """Rules that concern several settings at once."""
    horizon, every = parts.rules.horizon_steps, parts.evaluation.every
    if horizon % every:
        raise ConfigError(
            f"`horizon_steps` must be a multiple of `evaluation.every`, got {horizon} and {every}. "
            "The last look must fall on the horizon."
        )
    for name, scheduled in parts.probes.items():
        first = scheduled.schedule.following(0)
        if first is not None and first > horizon:
            raise ConfigError(
                f"`horizon_steps` must not be shorter than one probe interval, got {horizon} and "
                f"probe `{name}` first due at step {first}. Lengthen it or look more often."
            )
    for name, event in parts.events.items():
        check_name(f"event.{name}.series", event.series, Looks().series)
    if missing := [name for name in NEEDED_EVENTS if name not in parts.events]:
        raise ConfigError(f"`event` must include {list(NEEDED_EVENTS)}, missing {missing}.")


def possible_probes(
    probes: Mapping[str, Scheduled], network: Model
) -> tuple[dict[str, Scheduled], dict[str, str]]:
    """The probes that can look at this network, and why the others cannot.

    A model without heads has no attention to look at: that is no mistake of the user's, so the rest
    is measured and the manifest says what is not.
    """
    declared = {"logits", *(name.rsplit(".", 1)[-1] for name in network.hooks())}
    possible, absent = dict[str, Scheduled](), dict[str, str]()
    for name, scheduled in probes.items():
        missing = [kinds for kinds in scheduled.probe.needs if not declared.intersection(kinds)]
        if missing:
            absent[name] = f"{type(network).__name__} has no {' or '.join(missing[0])}"
        else:
            possible[name] = scheduled
    return possible, absent


def check_order(network: Model, task: Task) -> None:
    """Refuse a network that cannot see the order of two operands on a task in which it matters.

    Raises:
        ConfigError: If swapping the operands changes an answer, but no logit of a fresh network.
    """
    assert isinstance(network, nn.Module)
    inputs = task.inputs()
    if inputs.shape[1] != 2:
        return
    labels = task.labels(named_generator(0, "data"))
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


def _make(entry: Any, **more: Any) -> Any:
    """Instantiate a `_target_`, giving our own errors in place of Hydra's wrapping of them."""
    _check_entry(entry)
    try:
        return hydra.utils.instantiate(dict(entry), **more, _convert_="all")
    except hydra.errors.InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ConfigError):
            raise cause from None
        if isinstance(cause, TypeError) and (unknown := _UNKNOWN.search(str(cause))):
            owner, setting = str(entry.get("_target_")).rpartition(".")[2], unknown[1]
            raise ConfigError(
                f"`{setting}` must not be set: {owner} has no such setting. If an experiment sets "
                f"it, remove it by `~GROUP.{setting}`, GROUP being task, model, ..."
            ) from error
        raise ConfigError(f"`{entry.get('_target_')}` cannot be made: {error}") from error


def _check_entry(entry: Any) -> None:
    """Check the types of a `_target_`'s settings, and of what is made for it."""
    if not isinstance(entry, Mapping) or "_target_" not in entry:
        raise ConfigError(f"{entry!r} is no component. Give it a `_target_`, or name a preset.")
    for value in entry.values():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping) and "_target_" in inner:
                _check_entry(inner)
    try:
        owner = hydra.utils.get_object(str(entry["_target_"]))
    except (ImportError, ValueError, AttributeError):
        return  # told when it is made
    check_types(declared(owner), entry)


def torch_device(setting: str) -> str:
    """The device that a `device` setting means on this machine: "cpu" or "cuda".

    Raises:
        ConfigError: If CUDA is asked for and absent.
    """
    available = torch.cuda.is_available()
    match setting:
        case "auto":
            return "cuda" if available else "cpu"
        case "cuda" if not available:
            raise ConfigError(
                "`fleet.device` = cuda needs a CUDA device, and torch sees none. Use auto or cpu."
            )
        case "cpu" | "cuda":
            return setting
        case _:
            raise ConfigError(f"`fleet.device` must be auto, cpu or cuda, got {setting!r}.")

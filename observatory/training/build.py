"""From a resolved configuration to checked objects: the last place that knows configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import nn

from observatory.core.columns import Column
from observatory.core.contracts import Loss, Model, Optimizer, Probe, Task
from observatory.core.errors import ConfigError
from observatory.fleet.arms import modulus_of, part_names
from observatory.fleet.batches import batch_examples
from observatory.fleet.fleet import Fleet
from observatory.fleet.replica_table import ReplicaTable
from observatory.fleet.replicas import Dataset, probe_examples
from observatory.fleet.rules import Event
from observatory.fleet.settings import FEW, EvaluationSettings, FleetSettings, RetirementRules
from observatory.fleet.stack import layout_of
from observatory.interventions.arm import Arm
from observatory.store.identity import BEGUN_WITH, model_begun_with
from observatory.training.arms import arms_of
from observatory.training.check import (
    check_settings,
    evaluation_settings,
    fleet_settings,
    retirement_rules,
)
from observatory.training.components import make
from observatory.training.donors import DonatedOf, donated_to
from observatory.training.fork import Forked, forked
from observatory.training.keep import StateSettings, state_settings
from observatory.training.replicas import Config, replica_table
from observatory.training.state_rows import state_bytes, state_columns
from observatory.training.suitability import Scheduled, check_order, possible_probes

Made = TypeVar("Made")


@dataclass(frozen=True)
class Parts:
    """Everything that a run is made of, checked.

    `unavailable` says of every probe that was asked for and is not in `probes` why it cannot look;
    `final_weights`, whether a replica that leaves writes its parameters; `states`, when its
    complete state is kept.
    """

    dataset: Dataset
    network: nn.Module
    loss: Loss
    optimizer: Optimizer
    events: dict[str, Event]
    probes: dict[str, Scheduled]
    unavailable: dict[str, str]
    rules: RetirementRules
    evaluation: EvaluationSettings
    fleet: FleetSettings
    table: ReplicaTable
    final_weights: bool
    states: StateSettings | None
    arms: dict[str, Arm]
    donated: DonatedOf
    forked: Forked | None

    @property
    def n_params(self) -> int:
        """Parameters of one network."""
        assert isinstance(self.network, Model)  # `build` refuses others
        return sum(layout_of(self.network).sizes)

    @property
    def state_bytes(self) -> int:
        """Bytes of the complete state of one replica, before files compress them."""
        n_train = self.dataset.n_train
        return state_bytes(self.optimizer, self.n_params, self.fleet.dtype, n_train)

    @property
    def state_columns(self) -> tuple[Column, ...]:
        """Columns of the table of complete states."""
        return state_columns(self.optimizer, self.n_params, self.fleet.dtype)

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


def build(config: Config) -> Parts:
    """Check a resolved configuration and make its objects, before any compute is spent.

    Raises:
        ConfigError: If a setting breaks its rule; the message says which, why and what to do.
    """
    # A run that was begun before there was a setting has what all runs had then.
    config = {**config, "fleet": {**BEGUN_WITH, **config["fleet"]}}
    check_settings(config)
    task = _made("task", config["task"], Task)
    dataset = Dataset.of(task, config["train_fraction"])
    network = _network(config, task, dataset.inputs.shape[1])
    assert isinstance(network, Model)  # `_network` refuses others
    check_order(network, task)
    layout_of(network)  # every parameter is declared
    probes, unavailable = possible_probes(
        {
            name: Scheduled(
                probe=_made(f"probe.{name}", entry["probe"], Probe),
                schedule=make(entry["schedule"]),
            )
            for name, entry in config.get("probe", {}).items()
        },
        network,
        task,
    )
    _check_looks(probes, config, len(dataset))
    looking = [scheduled.probe for scheduled in probes.values()]
    arms = arms_of(config, part_names(network), looking, modulus_of(task))
    table = replica_table(config)
    parts = Parts(
        dataset=dataset,
        network=network,
        loss=_tried(_made("loss", config["loss"], Loss), task.n_classes),
        optimizer=_made("optimizer.update", config["optimizer"]["update"], Optimizer),
        events={
            name: _made(f"event.{name}", entry, Event)
            for name, entry in config.get("event", {}).items()
        },
        probes=probes,
        unavailable=unavailable,
        rules=retirement_rules(config),
        evaluation=evaluation_settings(config),
        fleet=fleet_settings(config),
        table=table,
        # none in the configuration of a run that was begun before there was one
        final_weights=config.get("store", {}).get("final_weights", False),
        states=state_settings(config),
        arms=arms,
        donated=donated_to(arms, table, layout_of(network)),
        forked=forked(config, table, dataset),
    )
    if parts.states is None:
        return parts
    horizon, n_replicas = parts.rules.horizon_steps, len(parts.table)
    return replace(parts, states=parts.states.thinned(horizon, n_replicas, parts.state_bytes))


def build_to_look(config: Config) -> Parts:
    """The same for looks at what a run kept, of which networks, data and probes are needed.

    Arms and fork are left out: they may name columns of probes that are not in `config`, and
    studies that lie elsewhere now. The table names every network, those of arms too.

    Raises:
        ConfigError: As `build`.
    """
    parts = build({**config, "arms": {}, "fork": None})
    return replace(parts, table=replica_table(config))


def network_of(config: Config) -> nn.Module:
    """The network of a run alone, as it is before its weights are drawn.

    Raises:
        ConfigError: If the task or the model cannot be made.
    """
    task = _made("task", config["task"], Task)
    return _network(config, task, task.inputs().shape[1])


def _network(config: Config, task: Task, n_operands: int) -> nn.Module:
    network = make(
        {**model_begun_with(config["model"]), **config["model"]},
        d_vocab=task.n_symbols,
        n_classes=task.n_classes,
        n_operands=n_operands,
    )
    if not isinstance(network, nn.Module):
        raise ConfigError(f"`model` must name an nn.Module, got {type(network).__name__}.")
    if not isinstance(network, Model):
        raise ConfigError(
            "`model` must implement initialise(), hooks() and weights(), got "
            f"{type(network).__name__}."
        )
    return network


def _made(setting: str, entry: Any, contract: type[Made]) -> Made:
    """A component, which must be what its place asks for."""
    made = make(entry)
    if not isinstance(made, contract):
        raise ConfigError(
            f"`{setting}` must name a class with all that a {contract.__name__} has, got "
            f"{entry['_target_']}, which makes a {type(made).__name__}."
        )
    return made


def _tried(loss: Loss, n_classes: int) -> Loss:
    """A loss that gives one number per example, which may be the user's own."""
    name, shape = type(loss).__name__, (2, 3)
    logits, labels = torch.zeros(*shape, max(n_classes, 2)), torch.zeros(shape, dtype=torch.int64)
    try:
        each = loss.each(logits, labels, torch.ones(shape) if loss.coupled else None)
    except Exception as error:
        raise ConfigError(f"`loss` must take any logits, {name} raised {error!r}.") from error
    if not isinstance(each, torch.Tensor) or each.shape != shape:
        got = tuple(each.shape) if isinstance(each, torch.Tensor) else repr(each)
        raise ConfigError(
            f"`loss` must give one number per replica and example, {shape} for logits of shape "
            f"{tuple(logits.shape)}; {name} gave {got}."
        )
    return loss


def _check_looks(probes: Mapping[str, Scheduled], config: Config, n_examples: int) -> None:
    """Refuse probe examples that do not exist, and a probe that would never look after step 0."""
    horizon, wanted = config["horizon_steps"], config["fleet"]["probe_examples"]
    if wanted > max(n_examples, FEW):
        raise ConfigError(
            f"`fleet.probe_examples` must be at most {n_examples}, all examples of the task, got "
            f"{wanted}."
        )
    for name, scheduled in probes.items():
        first = scheduled.schedule.following(0)
        if first is not None and first > horizon:
            raise ConfigError(
                f"`horizon_steps` must not be shorter than one probe interval, got {horizon} and "
                f"probe `{name}` first due at step {first}. Lengthen it or look more often."
            )

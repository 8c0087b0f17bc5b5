"""A made-up study with the numbers of a laptop map: for tests of what reads a study, in seconds.

The curves are formulas with noise; events and outcomes are found in them by the real definitions,
and everything is written by the real store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.fit.study import fit_study, write_fits, write_replicas_csv
from observatory.core.columns import Column
from observatory.events.collapse import collapsed
from observatory.events.outcome import LostRule, label
from observatory.events.settled import settled
from observatory.events.threshold import Threshold
from observatory.events.verma import Verma
from observatory.probes.attention import Attention
from observatory.probes.logit_scale import LogitScale
from observatory.probes.massive_activations import MassiveActivations
from observatory.probes.representation import Representation
from observatory.probes.softmax_collapse import SoftmaxCollapse
from observatory.probes.weight_norm import WeightNorm
from observatory.store.files import read_json
from observatory.store.reader import Study
from observatory.store.writer import ShardWriter, create_run
from tests.composed import composed
from tests.typechecking import unchecked
from tests.unit.analysis.report.records import PUBLISHED

LAPTOP_DECAYS = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 10.0)
EVENTS = {
    "mem": Threshold("train_acc", 0.99, 1, 0.0),
    "first99": Threshold("val_acc", 0.99, 1, 0.0),
    "first95": Threshold("val_acc", 0.95, 1, 0.0),
    "held99": Threshold("val_acc", 0.99, 3, 0.01),
    "verma": Verma("val_acc", 0.99, 0.95),
}
EVALUATION = (
    Column(name="train_loss", unit="nats", meaning="mean loss on the train split"),
    Column(name="train_acc", unit="1", meaning="accuracy on the train split"),
    Column(name="val_loss", unit="nats", meaning="mean loss on the val split"),
    Column(name="val_acc", unit="1", meaning="accuracy on the val split"),
)
PROBES = {
    "representation": Representation,
    "attention": Attention,
    "massive_activations": MassiveActivations,
    "weight_norm": WeightNorm,
    "logit_scale": LogitScale,
    "softmax_collapse": SoftmaxCollapse,
}
OUTCOMES = (
    Column(name="retire_reason", unit="1", meaning="why the replica left", dtype="string"),
    Column(name="outcome", unit="1", meaning="the one label of the replica", dtype="string"),
    Column(name="instant", unit="1", meaning="grokked with no delay", dtype="bool"),
    Column(name="diverged_step", unit="steps", meaning="first non-finite step", dtype="int64"),
    *(
        column
        for event in EVENTS
        for column in (
            Column(name=f"{event}_lo", unit="steps", meaning=f"last look before {event}"),
            Column(name=f"{event}_hi", unit="steps", meaning=f"first look that shows {event}"),
            Column(name=f"{event}_observed", unit="1", meaning=f"{event} was seen", dtype="bool"),
        )
    ),
)
N_LAYERS, N_GROUPS = 2, 3


@dataclass(frozen=True)
class Plan:
    """What to make up.

    Attributes:
        study: Folder name, and the study's name.
        weight_decays: The cells.
        n_seeds: Replicas per cell and learning rate.
        lrs: Learning rates; each is crossed with the cells.
        horizon: Steps at which a replica is censored.
        probes: Names of the probes that were on.
        unfinished: This many last replicas have a record but no outcome yet.
        diverged: This many first replicas of the largest cell diverge.
        n_shards: Shards.
        config: Settings that are changed in the manifest's config.
        run_id: Identity of the run.
        model: Name of the model.
        slowness: Factor on every time to grok.
    """

    study: str = "laptop_map"
    weight_decays: tuple[float, ...] = LAPTOP_DECAYS
    n_seeds: int = 8
    lrs: tuple[float, ...] = (0.01,)
    horizon: int = 2500
    probes: tuple[str, ...] = tuple(PROBES)
    unfinished: int = 0
    diverged: int = 0
    n_shards: int = 2
    config: dict[str, object] = field(default_factory=dict)
    run_id: str = "0123456789ab"
    model: str = "transformer"
    slowness: float = 1.0


@dataclass(frozen=True)
class _Life:
    """One replica: the times that its curves are made from, and its looks."""

    t_mem: float
    t_grok: float
    collapse: bool
    evaluation: pd.DataFrame
    outcome: dict[str, object]


def _curves(decay: float, lr: float, plan: Plan, rng: np.random.Generator) -> _Life:
    horizon = plan.horizon
    collapse = decay >= 10
    t_mem = (75 if decay < 2 else 150) * np.exp(rng.normal(0, 0.1))
    scale = plan.slowness * 300 / decay * (0.01 / lr) if decay > 0 else np.inf
    t_grok = (scale * decay**0.07 if decay > 0 else np.inf) * np.exp(rng.normal(0.12, 0.22))
    t_grok = max(t_grok, t_mem)
    steps = np.arange(0, horizon + 1, 25)
    noise = rng.normal(0, 0.004, steps.size)
    if collapse:
        train = 0.03 + 0.12 * np.exp(-steps / 90) + np.abs(noise)
        val = 0.02 + np.abs(noise)
    else:
        train = 1.02 / (1 + np.exp(-(steps - t_mem * 0.55) / (t_mem * 0.09)))
        plateau = 0.45 + 0.12 * rng.random()
        val = plateau / (1 + np.exp(-(steps - t_mem * 0.5) / (t_mem * 0.1)))
        if np.isfinite(t_grok):
            val = val + (1.004 - val) / (1 + np.exp(-6 * np.log(np.maximum(steps, 1) / t_grok) - 5))
        val = val + noise
    train, val = np.clip(train, 0, 1), np.clip(val, 0, 1)
    frame = pd.DataFrame(
        {
            "step": steps,
            "train_loss": -np.log(np.clip(train, 1e-3, 1 - 1e-5)) + 1e-6,
            "train_acc": train,
            "val_loss": 6 * (1 - val) + 1e-4,
            "val_acc": val,
        }
    )
    return _Life(t_mem, t_grok, collapse, *_lived(frame, horizon))


def _lived(frame: pd.DataFrame, horizon: int) -> tuple[pd.DataFrame, dict[str, object]]:
    """The record up to retirement, and what is known of it."""
    steps, train, val = (frame[name].to_numpy() for name in ("step", "train_acc", "val_acc"))
    at_collapse = collapsed(steps, train, level=0.3, looks=8, after=600)
    first, held = (EVENTS[name].locate(steps, val) for name in ("first99", "held99"))
    end, reason = horizon, "horizon"
    if at_collapse is not None:
        end, reason = at_collapse, "collapsed"
    elif held.observed:
        done = [int(s) for s in steps if s >= held.t_hi + 50 and settled(held, first, int(s), 200)]
        if done and done[0] <= horizon:
            end, reason = done[0], "settled"
    frame = frame[frame["step"] <= end]
    steps = frame["step"].to_numpy()
    seen = {n: e.locate(steps, frame[e.series].to_numpy()) for n, e in EVENTS.items()}
    made = label(
        steps,
        frame["val_acc"].to_numpy(),
        first99=seen["first99"],
        mem=seen["mem"],
        diverged_step=None,
        collapsed_step=at_collapse,
        lost_rule=LostRule(0.9, 3),
    )
    outcome: dict[str, object] = {
        "retire_reason": reason,
        "outcome": made.outcome,
        "instant": made.instant,
        "diverged_step": None,
    }
    for name, interval in seen.items():
        outcome[f"{name}_lo"] = interval.t_lo
        outcome[f"{name}_hi"] = interval.t_hi
        outcome[f"{name}_observed"] = interval.observed
    return frame, outcome


def _diverge(life: _Life) -> _Life:
    """The same replica, gone non-finite half way."""
    frame = life.evaluation.iloc[: max(len(life.evaluation) // 2, 2)].copy()
    frame.loc[frame.index[-1], ["train_loss", "val_loss"]] = np.nan
    outcome = {**life.outcome, "retire_reason": "diverged", "outcome": "diverged", "instant": False}
    outcome["diverged_step"] = int(frame["step"].iloc[-1])
    for event in EVENTS:
        if outcome[f"{event}_hi"] is None or outcome[f"{event}_hi"] > outcome["diverged_step"]:
            outcome |= {f"{event}_lo": None, f"{event}_hi": None, f"{event}_observed": False}
    return _Life(life.t_mem, life.t_grok, life.collapse, frame, outcome)


def _readings(
    probe: str, life: _Life, decay: float, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, np.ndarray | None]]:
    """Steps and one array per column: scalars `[look]`, lists `[look, layer]`."""
    steps = np.arange(0, int(life.evaluation["step"].iloc[-1]) + 1, 10)
    late = 1 / (1 + np.exp(-4 * np.log(np.maximum(steps, 1) / min(life.t_grok, 1e9))))
    fitted = 1 / (1 + np.exp(-(steps - life.t_mem * 0.6) / (life.t_mem * 0.2)))
    wave = rng.normal(0, 0.008, steps.size)
    by_name = {
        "spectral_entropy": 0.8 - 0.2 * late + wave,
        "effective_rank": 20 - 8 * late + 20 * wave,
        "participation_ratio": 14 - 6 * late + 20 * wave,
        "head_tail_5": -0.5 + 0.8 * late + wave,
        "class_ratio": 1.6 + 2 * late + wave,
        "s_bar": 0.98 - 0.25 * fitted + 0.22 * late + wave,
        "s_bar_query": 0.97 - 0.5 * fitted + 0.4 * late + wave,
        "sigma_h": 0.04 * fitted - 0.02 * late + np.abs(wave),
        "entropy": 0.6 - 0.12 * fitted + wave,
        "entropy_range": 0.1 * fitted - 0.05 * late + np.abs(wave),
        "spectral_gap": 2.4 + 0.8 * late + wave,
        "pr_norm": 0.6 - 0.3 * late + wave,
        "r_phi": np.clip(0.4 + 0.3 * late + 3 * wave, 0, 1),
        "l2": 6 + 20 * fitted / (1 + 8 * decay) + 4 * late + 20 * wave,
        "logit_scale": 0.3 + 12 * fitted / (1 + 3 * decay) + wave,
        "collapsed_share": np.clip(0.5 * fitted * np.exp(-6 * decay) + wave, 0, 1),
        "ratio": 6 + 12 * fitted / (1 + decay) + 60 * np.abs(wave),
    }
    columns: dict[str, np.ndarray | None] = {}
    for column in PROBES[probe].columns:
        base = by_name.get(column.name.removesuffix("_layer"), 1 + np.abs(wave))
        size = N_GROUPS if column.dims == ("group",) else N_LAYERS
        data = np.stack([base * (1 + 0.3 * i) for i in range(size)], 1) if column.dims else base
        columns[column.name] = data.astype(np.int64) if column.dtype == "int64" else data
        if life.collapse and column.name in ("pr_norm", "pr_norm_layer", "r_phi"):
            columns[column.name] = None
    return steps, columns


def manifest(plan: Plan, replicas: pd.DataFrame) -> dict[str, object]:
    """What the run says of itself."""
    tables = {"evaluation": EVALUATION, "outcomes": OUTCOMES}
    tables |= {f"probes/{name}": PROBES[name].columns for name in plan.probes}
    done = plan.unfinished == 0
    return {
        "schema_version": 1,
        "run_id": plan.run_id,
        "identity": (plan.run_id * 6)[:64],
        "study": plan.study,
        "experiment": plan.study,
        "status": "done" if done else "running",
        "created": "2026-01-05T10:00:00+00:00",
        "finished": "2026-01-05T10:04:21+00:00" if done else None,
        "command": f"observatory map experiment={plan.study}",
        "config": {
            "task": {"_target_": "observatory.tasks.modular.Modular", "operation": "add", "p": 31},
            "model": {
                "_target_": f"observatory.models.{plan.model}.{plan.model.title()}",
                **{"n_layers": N_LAYERS, "n_heads": 4, "d_model": 32, "d_mlp": 128},
            },
            "optimizer": {
                "decay": "all",
                "update": {"_target_": "observatory.optimizers.adamw.AdamW", "beta2": 0.98},
            },
            "event": {name: dict(vars(event)) for name, event in EVENTS.items()},
            "sweep": {"scientific": {"weight_decay": list(plan.weight_decays)}},
            "seed": 0,
            "horizon": plan.horizon,
            **plan.config,
        },
        "package_version": "0.1.0",
        "git": {"commit": "d34db33f" * 5, "dirty": True},
        "versions": {"python": "3.11.7", "torch": "2.13.0+cpu", "numpy": "2.4.6"},
        "machine": {
            "host": "laptop",
            "platform": "Linux-6.1",
            "cpu": "a CPU",
            "cores": 2,
            "device": "cpu",
        },
        "threads": 1,
        "dtypes": {"parameters": "float32", "loss": "float32", "probes": "float64"},
        "task": {"name": "add", "n_examples": 961, "n_train": 577, "n_val": 384, "n_classes": 31},
        "model": {"name": plan.model, "n_params": 15072, "hooks": ["resid_post"]},
        "loss": {"name": "CrossEntropy", "unit": "nats"},
        "steps_per_epoch": 1,
        "horizon_steps": plan.horizon,
        "fleet": {"shards": plan.n_shards, "size": 16},
        "groups": ["embed", "attention", "mlp"],
        "matrices": ["W_E", "W_U"],
        "absent_probes": {},
        "tables": {name: [c.to_json() for c in columns] for name, columns in tables.items()},
        "cost": {
            "wall_s": 261.0,
            "cpu_s": 402.0,
            "replica_steps": 131_250,
            "shares": {
                "train": 0.93,
                "evaluate": 0.04,
                "store": 0.01,
                **{f"probe:{name}": 0.003 for name in plan.probes},
            },
        }
        if done
        else None,
    }


def fabricate_study(results: Path, plan: Plan) -> Path:
    """Write the planned run into `results/<study>/`; a second plan of the same study adds a run."""
    grid = [(d, lr, s) for d in plan.weight_decays for lr in plan.lrs for s in range(plan.n_seeds)]
    replicas = pd.DataFrame(grid, columns=["weight_decay", "lr", "seed"])
    replicas.insert(0, "replica", np.arange(len(grid)))
    replicas.insert(0, "run_id", plan.run_id)
    replicas["shard"] = replicas["replica"] % plan.n_shards
    study = results / plan.study
    folder = study / "runs" / plan.run_id
    create_run(
        folder,
        manifest(plan, replicas),
        {name: replicas[name].to_numpy() for name in replicas},
        "seed: 0\n",
    )
    tables = {"evaluation": EVALUATION, "outcomes": OUTCOMES}
    tables |= {f"probes/{name}": PROBES[name].columns for name in plan.probes}
    for shard in range(plan.n_shards):
        writer = ShardWriter(folder / "shards" / str(shard), plan.run_id, tables, 0)
        for row in replicas[replicas["shard"] == shard].itertuples():
            _write_life(writer, plan, row, len(replicas))
        writer.flush(plan.horizon)
    return study


def _write_life(writer: ShardWriter, plan: Plan, row, n_replicas: int) -> None:
    rng = np.random.default_rng([row.seed, round(1e4 * row.weight_decay), round(1e6 * row.lr)])
    life = _curves(row.weight_decay, row.lr, plan, rng)
    if row.weight_decay == max(plan.weight_decays) and row.seed < plan.diverged:
        life = _diverge(life)
    looks = life.evaluation
    replica = np.full(len(looks), row.replica)
    values = {column.name: looks[column.name].to_numpy() for column in EVALUATION}
    writer.append("evaluation", replica, looks["step"].to_numpy(), values)
    for probe in plan.probes:
        steps, columns = _readings(probe, life, row.weight_decay, rng)
        writer.append(f"probes/{probe}", np.full(steps.size, row.replica), steps, columns)
    if row.replica < n_replicas - plan.unfinished:
        last = np.array([looks["step"].iloc[-1]])
        outcome = {
            name: None if value is None else np.array([value])
            for name, value in life.outcome.items()
        }
        writer.append("outcomes", np.array([row.replica]), last, outcome)


def add_records(folder: Path, records: Sequence[Mapping[str, object]]) -> None:
    """Append records to a study's `fits.json`."""
    file = folder / "fits.json"
    added = [{"study_group": None, "table": {}, **record} for record in records]
    write_fits(folder, [*read_json(file)["fits"], *added])


def published(n_bootstrap: int) -> dict[str, Any]:
    """Settings of the published fits alone, with few resamples: seconds less per study."""
    few = {"n_bootstrap": n_bootstrap, "n_law_draws": 40, "n_simulations": 50, "n_studies": 5}
    settings = composed("map", *(f"fit.study.{name}={n}" for name, n in few.items()))["fit"]
    return {name: settings[name] for name in ("study", *PUBLISHED)}


def fitted_study(results: Path, plan: Plan, settings: Mapping[str, object] | None = None) -> Path:
    """A study with its `fits.json` and `replicas.csv`, as the published fits leave it."""
    settings = settings or published(60)
    folder = fabricate_study(results, plan)
    study = Study(folder)
    with unchecked():  # contracts call every fit with checks
        write_fits(folder, fit_study(study, settings))
    write_replicas_csv(study)
    return folder

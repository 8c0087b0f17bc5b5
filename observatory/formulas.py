"""What `observatory formulas` does: search a formula on one task, then test it on others."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.plan import read_settings
from observatory.analysis.fit.result import Fitted
from observatory.analysis.fit.study import write_records
from observatory.analysis.paired.question import paired
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.core.settings import fits
from observatory.launch.compare import BASE, typed
from observatory.launch.compose import compose_block, compose_runs
from observatory.launch.many import Config, Message, Watch, train_runs
from observatory.launch.overrides import parsed
from observatory.launch.run import check_runs, described
from observatory.pipeline import checked_end, composed_comparison, run_comparison
from observatory.store.files import write_atomically
from observatory.store.lock import own
from observatory.store.reader import Run
from observatory.sweeps.fleets import with_setting
from observatory.sweeps.formulas import FormulaRule, FormulaSearch, log_times, read_rule
from observatory.sweeps.grammar import DRAWS
from observatory.training.replicas import replica_table

_BLOCKS = ("formulas", "compare")
"""Settings that are none of a run."""
_ACTIVATION = "model.activation"
_VALUE = "log10_steps"
TRANSFER = "transfer.json"
"""The records of the test, as `fits.json` has those of a study; beside it `transfer.csv`."""


def run_formulas(
    overrides: Sequence[str], watch: Watch | None, message: Message
) -> tuple[Fitted, Path]:
    """Search a formula, test the best; returns what the test says and its file.

    Each formula is a run of the study, one fleet. The test on a task is a comparison, in a study of
    its own, of the best formula with relu and with random formulas of its size. The same call again
    continues what is unfinished.

    Args:
        overrides: As of a comparison, and `formulas.KEY=VALUE`.
        watch: Shows the progress of a run.
        message: Receives lines for the user.

    Raises:
        ConfigError: If a setting breaks its rule; nothing was trained.
        BusyError: If another live process drives this search.
        FitRefusedError: If the test can say nothing; its record is stored all the same.
    """
    rule = read_rule(compose_block("formulas", "formulas", overrides))
    of_run = [text for text in overrides if _head(text) not in _BLOCKS]
    config = _checked(of_run, rule)
    study, seeds = Path(config["results"]) / config["study"], _fresh_seeds(config, rule)
    about = described(config, rule.event, "formulas.event")
    of_tests = [text for text in overrides if _head(text) != "formulas"]
    tests = {op: [*of_tests, *_of_test(config, op, seeds)] for op in rule.operations}
    for overrides_of_test in tests.values():
        _check_test(overrides_of_test)
    with own(study / "search.lock"):
        search = FormulaSearch(study, rule, {**about, "sweep": config["sweep"]})
        _search(search, config, watch, message)
        best, controls = search.best()[0], search.controls()
        arms = {"relu": "relu", **{f"random_{n}": text for n, text in enumerate(controls, 1)}}
        if len(controls) < rule.n_random:
            message(
                f"{len(controls)} of {rule.n_random} random formulas of the size of {best} were "
                f"found in {DRAWS:,} draws."
            )
        tables: list[pd.DataFrame] = []
        for operation, overrides_of_test in tests.items():
            compared = [*overrides_of_test, *_of_arms(best, arms)]
            report, runs = run_comparison(compared, watch, message)
            message(str(report))
            table = _outcomes(runs, {BASE: best, **arms}, rule.event)
            tables.append(table.assign(operation=operation))
        table = pd.concat(tables, ignore_index=True)
        return _tested(table, best, study, {"n_random": len(controls)})


def _head(override: str) -> str:
    return parsed([override])[0].key_or_group.partition(".")[0]


def _checked(overrides: Sequence[str], rule: FormulaRule) -> Config:
    """The run whose activation is searched."""
    runs = compose_runs("map", overrides)
    if len(runs) > 1:
        raise ConfigError(f"`formulas` searches one run, got {', '.join(runs)}. Choose one.")
    config = next(iter(runs.values()))
    if "activation" not in config["model"]:
        raise ConfigError(f"`model` must have an `activation`, as mlp has: got {config['model']}.")
    if config.get("arms"):
        raise ConfigError("`arms` must be left out: formulas are compared on undisturbed networks.")
    replica_table(config)  # checks the sweep
    sweep = config["sweep"]
    seeds = sweep["nuisance"].get("seed")
    if not seeds or not fits(seeds, list[int]):
        raise ConfigError(
            "`sweep.nuisance.seed` must list the seeds of the search, whole numbers such as "
            f"[0, 1, 2], got {seeds!r}."
        )
    if sweep["extra"] or "seed" in sweep["fixed"]:
        raise ConfigError(
            "`sweep.extra` and `sweep.fixed.seed` must be left out: the search and the test would "
            "both train what they add, and the test must have seeds of its own. Give all seeds of "
            "the search by `sweep.nuisance.seed`."
        )
    read_settings(config["fit"])
    return config


def _fresh_seeds(config: Config, rule: FormulaRule) -> list[int]:
    first = max(config["sweep"]["nuisance"]["seed"]) + 1
    return list(range(first, first + rule.seeds))


def _of_test(config: Config, operation: str, seeds: Sequence[int]) -> list[str]:
    """What a test has otherwise than the search, as overrides."""
    name = f"{config['study']}_{operation}"
    return [f"task={operation}", f"study={typed(name)}", f"sweep.nuisance.seed={typed(seeds)}"]


def _of_arms(best: str, arms: Mapping[str, str]) -> list[str]:
    settings = {name: {_ACTIVATION: _activation(text)} for name, text in arms.items()}
    given = [f"arms.{name}={typed(own_settings)}" for name, own_settings in settings.items()]
    return [f"{_ACTIVATION}={typed(_activation(best))}", *given]


def _activation(text: str) -> str:
    return text if text == "relu" else f"formula:{text}"


def _check_test(overrides: Sequence[str]) -> None:
    """Refuse what would end the test of a task; x stands for the formula that is not yet found."""
    found = composed_comparison([*overrides, *_of_arms("x", {"relu": "relu"})])
    runs = [*found.runs.values(), *found.rates.values()]
    for run in runs:
        checked_end(run, Path(run["results"]) / run["study"])
    check_runs(runs)


def _search(search: FormulaSearch, config: Config, watch: Watch | None, message: Message) -> None:
    """Train the formulas that a search asks for, batch after batch."""
    horizon, event = int(config["horizon_steps"]), search.rule.event
    while batch := search.batch():
        runs = {text: with_setting(config, _ACTIVATION, _activation(text)) for text in batch}
        folders = train_runs(runs, watch, message)
        for number, folder in zip(batch.values(), folders, strict=True):
            search.record(number, log_times(Run(folder).outcomes(), event, horizon))
        message(search.text())


def _outcomes(runs: Mapping[str, Path], arms: Mapping[str, str], event: str) -> pd.DataFrame:
    """A row per formula and seed: the mean over weight decays of `log_times`, and of the event.

    Args:
        runs: Folder of the run of each arm.
        arms: Formula of each.
        event: Which event.
    """
    tables: list[pd.DataFrame] = []
    for name, text in arms.items():
        run = Run(runs[name])
        found = run.outcomes()
        found[_VALUE] = log_times(found, event, int(run.manifest["horizon_steps"]))
        found["share"] = found[f"{event}_observed"].astype(float)
        means = found.pivot_table(index="seed", values=[_VALUE, "share"]).reset_index()
        tables.append(means.assign(arm=text, role=name))
    return pd.concat(tables, ignore_index=True)


def _tested(
    table: pd.DataFrame, best: str, study: Path, about: Mapping[str, Any]
) -> tuple[Fitted, Path]:
    """The paired test by seed, one family over all tasks and formulas, stored beside its table.

    `about` is added to the extras of each record.
    """

    def noted(record: Record) -> Record:
        return {**record, "extras": {**record.get("extras", {}), **about}}

    write_atomically(study / "transfer.csv", lambda path: table.to_csv(path, index=False))
    path = study / TRANSFER
    try:
        found = paired(
            table, value=_VALUE, arm="arm", pair="seed", family="operation", reference=best
        )
    except FitRefusedError as refusal:
        write_records(path, [noted(refusal.record)] if refusal.record else [])
        raise
    found = replace(found, records=[noted(record) for record in found.records])
    write_records(path, found.records)
    return found, path

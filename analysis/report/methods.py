"""A paragraph on methods that a user can paste, made of the settings that were really used."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from observatory.analysis.page.facts import WINDOW, Facts
from observatory.analysis.page.records import Record, estimator_name, lead_reason
from observatory.analysis.page.wording import (
    event_words,
    horizon_words,
    number,
    sample_words,
    settings_words,
)
from observatory.analysis.report.forks import forks
from observatory.analysis.report.summary import title_of
from observatory.analysis.tables.watched import of_checkpoints

_WILSON = "Wilson, J. Am. Stat. Assoc. 22 (1927) 209"
_SOURCES = {
    "least_squares": "arXiv:2605.20441",
    "firth": "Firth, Biometrika 80 (1993) 27",
    "survival": "Kaplan and Meier, J. Am. Stat. Assoc. 53 (1958) 457",
    "censored": "Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data (2002)",
    "one-sided": "Self and Liang, J. Am. Stat. Assoc. 82 (1987) 605",
    "holm": "Holm, Scand. J. Stat. 6 (1979) 65",
}
"""What a method is cited by."""


def methods(facts: Facts) -> list[str]:
    """The paragraph, sentence by sentence; only of what was done."""
    parts = (_data, _boundary, _times, _resampling, _software)
    return [sentence for part in parts for sentence in part(facts)]


def _data(facts: Facts) -> Iterator[str]:
    yield _observed(facts) if facts.group.observed else _trained(facts)
    if not facts.group.observed:
        yield from rules_words(facts.group.runs[0].manifest["config"])
    yield from forks({run.run_id: run.manifest for run in facts.group.runs})
    if facts.unfitted:
        return
    yield (
        f"Event rates are of {event_words(facts.event, facts.config)}; a replica that collapsed or "
        "diverged counts as without the event and can no longer have it."
    )
    yield f"Rates per weight decay carry {facts.level:.0%} Wilson intervals ({_WILSON})."


def rules_words(config: Mapping[str, Any]) -> Iterator[str]:
    """What a seed draws, how often was looked, and when a replica left the training."""
    yield "The seed of a replica draws its split, its initial weights and the order of its batches."
    if "evaluation" in config:
        yield f"Accuracies were read every {config['evaluation']['every']} steps."
    rules = config.get("retirement")
    if rules is None:
        return
    yield (
        f"A replica is collapsed where its train accuracy was below {rules['collapse_level']:g} at "
        f"{rules['collapse_looks']} consecutive looks after step {rules['collapse_after']}, and "
        "lost where its val accuracy, after first99, was below "
        f"{rules['lost_level']:g} at {rules['lost_looks']} consecutive looks."
    )
    settled = (
        f"once held99 was seen and {rules['tail_steps']} steps had passed since first99, "
        if rules["settle"]
        else ""
    )
    yield f"Training ended {settled}at collapse, at divergence, or at the horizon."


def _trained(facts: Facts) -> str:
    manifest = facts.group.runs[0].manifest
    config, task, model = manifest["config"], manifest["task"], manifest["model"]
    optimizer = config["optimizer"]["update"]["_target_"].rpartition(".")[2]
    lrs = ", ".join(f"{lr:g}" for lr in sorted(facts.group.replicas["lr"].unique()))
    return (
        f"We trained {sample_words(facts.group.replicas)}: {title_of(manifest)}, a model of "
        f"{model['n_params']:,} parameters ({settings_words(config['model'])}) on "
        f"{task['n_train']} training and {task['n_val']} validation examples "
        f"({settings_words(config['task'])}) with {optimizer}, learning rate {lrs}, for at most "
        f"{horizon_words(facts.horizon, facts.group.steps_per_epoch)}."
    )


def _observed(facts: Facts) -> str:
    manifest = facts.group.runs[0].manifest
    model = manifest["model"]
    if of_checkpoints(manifest):
        return (
            f"We looked at {manifest['config']['probe']['every']} of a {model['name']} "
            f"({model['n_params']:,} parameters), saved up to step {facts.horizon}."
        )
    return (
        f"We watched {sample_words(facts.group.replicas)} of a {model['name']} "
        f"({model['n_params']:,} parameters) in a training loop of our own, for at most "
        f"{horizon_words(facts.horizon, facts.group.steps_per_epoch)}; looks left weights, buffers "
        "and random states as they were."
    )


def _boundary(facts: Facts) -> Iterator[str]:
    fitted = [r for r in facts.of("boundary") if r["refused"] is None]
    if not fitted:
        return
    names = "; ".join(
        f"{estimator_name(r)}: {r['extras'].get('method', 'method not recorded')}"
        for r in fitted
        if r["estimator"] != WINDOW
    )
    used = " ".join(str(r["estimator"]) for r in fitted)
    cited = [_SOURCES[name] for name in ("least_squares", "firth") if name in used]
    yield (
        "The critical weight decay λc is the midpoint of the fitted curve over 0 < weight decay ≤ "
        f"{number(facts.window_max)} (n = {fitted[0]['n']}), with {_level(fitted)} intervals. "
        "Weight decay 0 has no place on a log axis, and above that limit training itself can fail, "
        f"which is another edge: neither enters. Estimators: {names}{_cite(cited)}."
    )
    if facts.window is not None and facts.window["refused"] is None:
        yield (
            "Both edges were fitted in one model over all positive weight decays: "
            f"{facts.window['extras'].get('method', 'a rising times a falling edge')}."
        )
    if (why := lead_reason(facts.boundaries[0])) is not None:
        name = estimator_name(facts.boundaries[0])
        yield f"λc at the top is by {name}; the order was declared before the fits: {why}"
    horizons = sorted({r["horizon_steps"] for r in facts.boundaries_at} - {None})
    if len(horizons) > 1:
        yield (
            "The same records were re-censored at "
            f"{', '.join(f'{steps}' for steps in horizons)} steps."
        )


def _times(facts: Facts) -> Iterator[str]:
    censored = [r for r in facts.of("times_censored") if r["refused"] is None]
    if censored:
        yield (
            "Times to grok were modelled as t = A (λ − λc)^(−ν) with λ the weight decay: "
            f"{censored[0]['extras'].get('method', 'censored likelihood')}; replicas without "
            "the event entered as censored"
            f"{_cite([_SOURCES['censored']])}, and λc = 0 was tested by its likelihood ratio"
            f"{_cite([_SOURCES['one-sided']])}."
        )
    uncensored = [r for r in facts.of("times") if r["refused"] is None]
    if uncensored:
        yield f"For comparison, the published fit: {uncensored[0]['extras'].get('method')}."
    if (survival := facts.single("survival")) is not None:
        method = survival["extras"].get("method", "product-limit estimate")
        yield f"Shares by step and restricted mean times: {method}{_cite([_SOURCES['survival']])}."
    if (horizon := facts.single("horizon")) is not None:
        method = horizon["extras"].get("method", "see the caption of the table of the verdict")
        yield f"Whether the boundary is a threshold or made by the horizon: {method}."


def _resampling(facts: Facts) -> Iterator[str]:
    records = [r for r in facts.records if r["event"] == facts.event and r["refused"] is None]
    sizes = sorted({int(r["extras"]["n_bootstrap"]) for r in records if _counts(r)})
    if records:
        seeds = ", ".join(sorted({f"{r['seed']}" for r in records}))
        drawn = " and ".join(f"{size}" for size in sizes)
        many = f" used {drawn} resamples and" if sizes else ""
        yield f"Resampling{many} started from seed {seeds}."


def _counts(record: Record) -> bool:
    return isinstance(record["extras"].get("n_bootstrap"), int | float)


def _software(facts: Facts) -> Iterator[str]:
    manifest = facts.group.runs[0].manifest
    versions: dict[str, Any] = manifest.get("versions", {})
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    commit = str((manifest.get("git") or {}).get("commit") or "")[:8]
    yield (
        f"Made with observatory {manifest.get('package_version', '')}"
        f"{f' (commit {commit})' if commit else ''}{f'; {used}' if used else ''}."
    )


def _level(records: Sequence[Record]) -> str:
    return " and ".join(sorted({f"{record['level']:.0%}" for record in records}))


def _cite(sources: Sequence[str]) -> str:
    return f" ({'; '.join(sources)})" if sources else ""

"""The README of a bundle: every file, every column, where it comes from and what is left out."""

from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from observatory.bundle.cards import BundleFacts
from observatory.bundle.redact import LEFT_OUT
from observatory.core.columns import Column
from observatory.store.describe import markdown_table, provenance, task_and_model
from observatory.store.reader import REPLICAS, Study
from observatory.store.schema import KEYS, REPLICA_COLUMNS, STATES, WEIGHTS

FILES = {
    "README.md": "this file",
    "CITATION.cff": "how to cite the data set (Citation File Format 1.2)",
    "SHA256SUMS": "SHA-256 of every other file; `sha256sum -c SHA256SUMS` checks them",
    "bundle.json": "version of this layout, study, software, what was redacted, weights",
    "report.html": "the report: one page that needs nothing else",
    "report/*": "the figures of the report, one file each (SVG; PDF and PNG where asked for)",
    "fits.json": "every estimate with its interval, event, horizon and warnings, or its refusal",
    "replicas.csv": "one row per network: settings, outcome, events as intervals",
    "weights.csv": "one row per network: the file of its parameters, empty where there is none",
    "weights/*": "parameters of single networks (safetensors), a folder per run",
    "runs/*/manifest.json": "what a run was: settings, seeds, versions, machine, git state, cost, "
    "and the unit and meaning of every column",
    "runs/*/config.yaml": "the settings alone, resolved: every number that can change a result",
    "runs/*/environment.txt": "versions of the packages that made the numbers; pip reads it",
    "runs/*/code.diff": "what the checkout had changed since the commit of the manifest",
    "runs/*/replicas.parquet": "one row per network: its seed and settings",
    "runs/*/shards/*/progress.json": "what a worker last said: steps made and left, seconds spent",
    "runs/*/shards/*/part-*.parquet": "a piece of the table that its folder names (`evaluation`, "
    "`probes/attention`, ...); the pieces of all shards together are the table",
}
"""Every file that a bundle may have, by a pattern whose `*` may cross folders, and what it is."""

_ALWAYS = ("README.md", "CITATION.cff", "SHA256SUMS", "bundle.json")

_FIT_FIELDS = {
    "fit, estimator": "what was estimated, and how",
    "event": "definition of the event whose times were fitted",
    "horizon_steps, horizon_epochs": "where the records were censored; the estimate belongs to it",
    "params": "per parameter: value, standard error, both ends of its interval",
    "level": "coverage that the intervals claim",
    "n, seed": "networks that were used; seed of the resampling",
    "warnings": "what a reader must know to read it right",
    "refused": "why the data could not give the estimate; null where it could",
}
_RENAMED = {"t_mem_lo": "mem_lo", "t_mem_hi": "mem_hi"}
"""Columns of `replicas.csv` and the ones of the table `outcomes` that they are."""
NAMED = 10
"""Networks without parameters that the README names; `weights.csv` has all."""
WATCHED = Column(
    name="steps_watched", unit="steps", dtype="int64", meaning="updates until the replica left"
)


def readme(facts: BundleFacts, study: Study, made: Path, names: Collection[str]) -> str:
    """A README that explains every file and every column.

    Args:
        facts: What the bundle says beside the study.
        study: The study.
        made: Folder of its `replicas.csv`.
        names: The other files of the bundle.
    """
    finished = sum(run.outcomes()["outcome"].notna().sum() for run in study.runs)
    n = sum(len(run.replicas()) for run in study.runs)
    runs = "1 run" if len(study.runs) == 1 else f"{len(study.runs)} runs"
    present = [
        (f"`{pattern}`", what)
        for pattern, what in FILES.items()
        if pattern in _ALWAYS or any(fnmatch(name, pattern) for name in names)
    ]
    paragraphs = [
        f"# {facts.study}",
        f"{n} networks in {runs}, {finished} of them finished; trained and measured with "
        f"observatory {facts.manifests[0]['package_version']}."
        f"{'' if facts.complete else ' **Not complete: some runs had not ended.**'}",
        "\n".join(f"- `{m['run_id']}`: {task_and_model(m)}." for m in facts.manifests),
        _reading(facts),
        "## Files",
        markdown_table(("file", "what it is"), present),
        "`runs/*` is one folder per run, `shards/*` one per worker of a run.",
        *_columns(study, made, {WEIGHTS} if facts.kept is not None else {WEIGHTS, STATES}),
        *_fits("fits.json" in names),
        "## Weights",
        _weights(facts, study),
        "## Where it comes from",
        "\n".join(f"- {provenance(manifest)}" for manifest in facts.manifests),
        "## Left out",
        "\n".join(f"- {line}" for line in LEFT_OUT),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _fits(written: bool) -> Iterator[str]:
    if written:
        yield "## fits.json"
        yield "A list under `fits`; every entry has"
        yield markdown_table(
            ("field", "what it is"), [(f"`{k}`", v) for k, v in _FIT_FIELDS.items()]
        )


def _reading(facts: BundleFacts) -> str:
    first = facts.manifests[0]["run_id"]
    return f"""## Read it

With pandas alone, from the folder of this file:

```python
from pathlib import Path

import pandas as pd

replicas = pd.read_csv("replicas.csv")
parts = sorted(Path("runs/{first}").glob("shards/*/evaluation/*.parquet"))
looks = pd.concat([pd.read_parquet(part) for part in parts]).sort_values(["replica", "step"])
curves = looks.merge(replicas, on=["run_id", "replica"])
```

Or as a study: `observatory import` checks the sums and puts it among your own; then
`observatory report`, `fit`, `status` and `browse` work on it.

The clock is the step, one optimizer update. In the tables null means not measured or not defined,
NaN measured and not finite. An event lies in the interval (`lo`, `hi`] between two looks."""


def _columns(study: Study, made: Path, left_out: set[str]) -> Iterator[str]:
    """A section per table, its columns over all runs."""
    yield f"## {REPLICAS}"
    found = {name for run in study.runs for name in run.replicas().columns}
    known = {column.name: column for column in REPLICA_COLUMNS}
    swept = [
        Column(name=n, unit="1", meaning="a swept setting") for n in sorted(found - set(known))
    ]
    yield _table([*known.values(), *swept])
    outcomes = {c.name: c for run in study.runs for c in run.columns("outcomes")}
    csv = made / "replicas.csv"
    if csv.exists():
        yield "## replicas.csv"
        names = csv.read_text(encoding="utf-8").partition("\n")[0].strip().split(",")
        all_known = {**outcomes, **known, **{c.name: c for c in swept}, WATCHED.name: WATCHED}
        apart = {
            n: Column(name=n, unit="1", meaning="a setting in which runs differ") for n in names
        }
        yield _table([(n, {**apart, **all_known}[_RENAMED.get(n, n)]) for n in names])
    for name in sorted({name for run in study.runs for name in run.tables()} - left_out):
        runs = [run for run in study.runs if name in run.tables()]
        yield f"## {name}"
        if len(runs) < len(study.runs):
            yield f"In the runs {', '.join(run.run_id for run in runs)}."
        yield _table([*KEYS, *{c.name: c for run in runs for c in run.columns(name)}.values()])


def _table(columns: Iterable[Column | tuple[str, Column]]) -> str:
    named = [c if isinstance(c, tuple) else (c.name, c) for c in columns]
    return markdown_table(
        ("column", "unit", "type", "meaning"),
        [
            (f"`{name}`", c.unit, f"{c.dtype}{_axes(c)}", c.meaning.replace("|", "\\|"))
            for name, c in named
        ],
    )


def _axes(column: Column) -> str:
    return f"[{', '.join(column.dims)}]" if column.dims else ""


def _weights(facts: BundleFacts, study: Study) -> str:
    """Which networks' parameters go along, and where the others' are."""
    rule = (
        "A run keeps a network's parameters while it trains, and those it left with unless "
        "`store.final_weights` was false. Settings, seed and versions train any network again, bit "
        "for bit on a CPU of the same kind."
    )
    if facts.kept is None:
        return f"None: they were not asked for. {rule}"
    everyone = [
        (run.run_id, replica) for run in study.runs for replica in run.replicas()["replica"]
    ]
    lacking = [
        f"{replica} of `{run_id}`"
        for run_id, replica in everyone
        if (run_id, replica) not in facts.kept
    ]
    more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
    none = f" There are none of replica {', '.join(lacking[:NAMED])}{more}." if lacking else ""
    return (
        f"Of {len(facts.kept)} of {len(everyone)} networks, see `weights.csv`; `step` says after "
        f"how many updates.{none} {rule} `safetensors.torch.load_file` gives names and tensors of "
        "one network, in the shapes of the model that `config.yaml` names."
    )

"""Groups of several sizes: the finite-size chain, and how an amplitude grows with the heads."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from observatory.analysis.curves.estimators.series import Series
from observatory.analysis.curves.figure_curves import curves_figure
from observatory.analysis.curves.section_laws import N_BOOTSTRAP, record_of
from observatory.analysis.page.comparison import GroupComparison, StudyGroup
from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.frames import column, evenly, select, where
from observatory.analysis.page.records import Record
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import DASH, estimate, number
from observatory.analysis.scaling.figure import finite_size_figure
from observatory.analysis.scaling.question import scaling
from observatory.analysis.tables.last_looks import configured
from observatory.analysis.training.heads import head_readings
from observatory.core.errors import FitRefusedError

SIZES = ("task.p", "model.d_model")
N_RESAMPLES, N_NULL = 60, 59
"""Of the chain on a page; `observatory fit collapse` takes more."""
MAX_AMPLITUDES = 3
"""Weight decays with a panel of amplitudes."""


def draw_sizes(comparison: GroupComparison) -> Iterator[Drawing | NotDrawn]:
    """What can be drawn where groups differ in a size; nothing where they do not."""
    for size in SIZES:
        sizes = [configured(m.facts.config, size) for m in comparison.groups]
        known = [s for s in sizes if s is not None]
        if len(known) == len(sizes) and len(set(known)) > 1:
            yield _chain(comparison, size, known)
            break
    heads = [_d_head(group) for group in comparison.groups]
    known = [d for d in heads if d is not None]
    if len(known) == len(heads) and len(set(known)) > 1:
        yield _amplitudes(comparison, known)


def _d_head(group: StudyGroup) -> float | None:
    """Width of one head; None for a model without heads."""
    d_model, n_heads = (
        configured(group.facts.config, f"model.{name}") for name in ("d_model", "n_heads")
    )
    return None if d_model is None or not n_heads else d_model / n_heads


def _chain(comparison: GroupComparison, size: str, sizes: Sequence[float]) -> Drawing | NotDrawn:
    title = f"Finite size: {size}"
    if len(set(sizes)) < len(sizes):
        return NotDrawn(title, "several groups have one size and differ in something else")
    frames = [_last(group) for group in comparison.groups]
    if any(frame is None for frame in frames):
        return NotDrawn(title, "a group has no evaluation table")
    rows = pd.concat(
        [
            frame.assign(**{size: s})
            for frame, s in zip(frames, sizes, strict=True)
            if frame is not None
        ],
        ignore_index=True,
    )
    rows = where(rows, column(rows, "weight_decay") > 0)
    try:
        fitted = scaling(
            rows, size=size, control="weight_decay", value="val_acc", group="seed",
            n_bootstrap=N_RESAMPLES,
            settings={"log_control": True, "zeta": 0.0, "n_null": N_NULL},
        )  # fmt: skip
    except FitRefusedError as refusal:
        return NotDrawn(title, f"the chain refused: {refusal}".rstrip("."))
    record, names = fitted.record, fitted.data
    warned = "".join(f" {text}" for text in record["warnings"][:2])
    return Drawing(
        name="groups-finite-size",
        title=title,
        caption=(
            f"Val accuracy (dimensionless) at the last look of each of {record['n']} replicas with "
            f"weight decay above 0 (log axis), by {size}, {record['extras']['n_sizes']} sizes. "
            "Links of the chain, a panel each: mean, collapse, cumulants (raw, centred, shifted), "
            "crossings, susceptibility and width against size, beside those of smooth crossovers; "
            f"verdict: {record['extras']['verdict']}. {record['level']:.0%} intervals from "
            f"{N_RESAMPLES} resamples and {N_NULL} crossovers; `observatory fit collapse` takes "
            f"more.{warned} {comparison.context}"
        ),
        figure=finite_size_figure(record, names),
    )


def _last(group: StudyGroup) -> pd.DataFrame | None:
    """seed, weight_decay and val_acc at the last look, of the finished replicas of a group."""
    frame = group.facts.group.table("evaluation", ["val_acc"])
    if frame is None:
        return None
    keys = ["run_id", "replica"]
    last = frame.groupby(keys, as_index=False).agg({"val_acc": "last"})
    own = group.facts.group.replicas
    own = select(where(own, own["outcome"].notna().to_numpy()), [*keys, "seed", "weight_decay"])
    made = pd.DataFrame(own.merge(last, on=keys))
    made["seed"] = made["run_id"].astype(str) + "/" + made["seed"].astype(str)
    return select(made, ["seed", "weight_decay", "val_acc"])


def _amplitudes(comparison: GroupComparison, heads: Sequence[float]) -> Drawing | NotDrawn:
    title = "Peak of sigma_h against d_head"
    readings = [head_readings(group.facts) for group in comparison.groups]
    tables = [r.assign(d_head=d) for r, d in zip(readings, heads, strict=True) if r is not None]
    if len(tables) < len(heads):
        return NotDrawn(title, "a group lacks the attention probe")
    rows = pd.concat(tables, ignore_index=True)
    rows = where(rows, np.isfinite(column(rows, "sigma_h"))).sort_values("d_head")
    decays = [set(column(table, "weight_decay").tolist()) for table in tables]
    shared = evenly(sorted(set.intersection(*decays)), MAX_AMPLITUDES)
    if not shared or rows.empty:
        return NotDrawn(title, "the groups share no weight decay with a defined sigma_h")
    records: list[Record] = []
    for decay in shared:
        own = where(rows, column(rows, "weight_decay") == decay)
        x, y = column(own, "d_head"), column(own, "sigma_h")
        records.append(record_of("saturation", Series(x, y, "d_head", "sigma_h"), [], {}))
    return Drawing(
        name="groups-amplitude",
        title=title,
        caption=(
            "Largest spread of the heads’ entropies sigma_h (nats, layer mean) of each replica’s "
            "record against the width of a head d_head, at weight decays that all groups have. "
            "Line and band: c + a (1 − exp(−b d_head)) and its interval, where a constant is "
            f"excluded; dashed: a law that describes the points better. {comparison.context}"
        ),
        figure=curves_figure(
            records,
            [f"weight decay {decay_label(decay)}" for decay in shared],
            ("d_head", "peak sigma_h (nats)"),
        ),
        table=_laws(shared, records),
    )


def _laws(decays: Sequence[float], records: Sequence[Record]) -> Table:
    rows: list[list[str]] = []
    notes: list[str] = []
    for decay, record in zip(decays, records, strict=True):
        start = [decay_label(decay), f"{record['n']}"]
        if record["refused"] is not None:
            rows.append([*start, *[DASH] * 4])
            why = str(record["refused"]).split(". ")[0]
            notes.append(f"Refused at weight decay {start[0]}: {why}.")
            continue
        plateau = [estimate(record, name) for name in ("plateau", "b")]
        best = str(record["extras"]["best_law"]).replace("_", " ")
        rows.append([*start, *plateau, best, number(record["extras"]["r2"])])
    heads = ("weight decay", "n", "plateau c + a", "b", "best law (AICc)", "R²")
    caption = (
        f"{records[0]['level']:.0%} intervals from {N_BOOTSTRAP} resamples; a dash: not identified."
        " Laws: this, a line, a logarithm, a power, a constant."
    )
    kinds = ("num", "num", "num", "num", "", "num")
    return Table("Amplitude against d_head", heads, kinds, rows, caption, notes=notes)

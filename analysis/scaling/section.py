"""Groups of several sizes: the finite-size chain, and how an amplitude grows with the heads."""

from collections.abc import Iterator, Sequence

from observatory.analysis.curves.figures import curves_figure
from observatory.analysis.curves.study_fits import intervals_words
from observatory.analysis.page.comparison import GroupComparison
from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.records import Record
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import estimate, number
from observatory.analysis.scaling.figure import finite_size_figure
from observatory.analysis.scaling.study_fits import ACCURACY, CONTROL


def draw_sizes(comparison: GroupComparison) -> Iterator[Drawing | NotDrawn]:
    """What was fitted where groups differ in a size; nothing where they do not."""
    for record in comparison.of("scaling"):
        yield _chain(comparison, record)
    if amplitudes := comparison.of("saturation"):
        yield _amplitudes(comparison, amplitudes)


def _chain(comparison: GroupComparison, record: Record) -> Drawing | NotDrawn:
    size = str(record["group"]["size"])
    title = f"Finite size: {size}"
    if record["refused"] is not None:
        return NotDrawn(title, f"the chain refused: {record['refused']}".rstrip("."))
    extras = record["extras"]
    warned = "".join(f" {text}" for text in record["warnings"][:2])
    return Drawing(
        name="groups-finite-size",
        title=title,
        caption=(
            f"Val accuracy (dimensionless) at the last look of each of {record['n']} replicas with "
            f"weight decay above 0 (log axis), by {size}, {extras['n_sizes']} sizes. "
            "Links of the chain, a panel each: mean, data collapse, cumulants (raw, centred, "
            "shifted), crossings, susceptibility and width against size, beside those of smooth "
            f"crossovers; verdict: {extras['verdict']}. {record['level']:.0%} intervals from "
            f"{extras['n_bootstrap']} resamples and {extras['n_null']} crossovers; `observatory "
            f"fit scaling` takes more.{warned} {comparison.context}"
        ),
        figure=finite_size_figure(record, {"size": size, "control": CONTROL, "value": ACCURACY}),
    )


def _amplitudes(comparison: GroupComparison, records: Sequence[Record]) -> Drawing | NotDrawn:
    title = "Peak of sigma_h against d_head"
    if "group" not in records[0]:
        return NotDrawn(title, str(records[0]["refused"]).rstrip("."))
    fitted = [record for record in records if record["refused"] is None]
    if not fitted:
        return NotDrawn(title, str(records[0]["refused"]).rstrip("."))
    labels = [f"weight decay {decay_label(r['group']['weight_decay'])}" for r in fitted]
    return Drawing(
        name="groups-amplitude",
        title=title,
        caption=(
            "Largest spread of the heads’ entropies sigma_h (nats, layer mean) of each replica’s "
            "record against the width of a head d_head, at weight decays that all groups have. "
            "Line and band: c + a (1 − exp(−b d_head)) and its interval, where a constant is "
            f"excluded; dashed: a law that describes the points better. {comparison.context}"
        ),
        figure=curves_figure(fitted, labels, ("d_head", "peak sigma_h (nats)")),
        table=_laws(records),
    )


def _laws(records: Sequence[Record]) -> Table:
    rows: list[list[str]] = []
    notes: list[str] = []
    for record in records:
        start = [decay_label(record["group"]["weight_decay"]), f"{record['n']}"]
        if record["refused"] is not None:
            why = str(record["refused"]).split(". ")[0]
            notes.append(f"Refused at weight decay {start[0]}: {why}.")
            continue
        found = [estimate(record, name) for name in ("plateau", "b")]
        best = str(record["extras"]["best_law"]).replace("_", " ")
        rows.append([*start, *found, best, number(record["extras"]["r2"])])
    heads = ("weight decay", "n", "plateau c + a", "b", "best law (AICc)", "R²")
    caption = (
        f"{intervals_words(records)}; a dash: not identified."
        " Laws: this, a line, a logarithm, a power, a constant."
    )
    kinds = ("num", "num", "num", "num", "", "num")
    return Table("Amplitude against d_head", heads, kinds, rows, caption, notes=notes)

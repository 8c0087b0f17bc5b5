"""Every figure of a group of replicas, with its caption, or the reason why it is missing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from observatory.analysis.figures import attention, baselines, representation
from observatory.analysis.figures.attention import attention_figure
from observatory.analysis.figures.bands import RULE, bands
from observatory.analysis.figures.baselines import baselines_figure
from observatory.analysis.figures.boundary import limits
from observatory.analysis.figures.frames import column, select, words
from observatory.analysis.figures.horizons import horizons_figure
from observatory.analysis.figures.incidence import incidence_figure
from observatory.analysis.figures.massive_activations import massive_activations_figure
from observatory.analysis.figures.outcomes import outcomes_figure
from observatory.analysis.figures.panels import MAX_BANDS, MAX_LINES
from observatory.analysis.figures.rate import rate_figure
from observatory.analysis.figures.representation import representation_figure
from observatory.analysis.figures.times import times_figure
from observatory.analysis.figures.trajectories import trajectories_figure
from observatory.analysis.report.facts import Facts
from observatory.analysis.report.power_laws import power_laws
from observatory.analysis.report.wording import event_words, horizon_words, sample_words

_BASELINE_TABLES = {
    "l2": "weight_norm",
    "logit_scale": "logit_scale",
    "collapsed_share": "softmax_collapse",
}
_MASSIVE_TITLES = {"ratio": "ratio top-1 / median", "share_above_10": "share > 10 medians"}
_MAX_LAYERS = 6
"""Layers with a panel of their own; of more, as many are chosen evenly, the ends included."""


@dataclass(frozen=True)
class Drawing:
    """A figure with its name, title and caption."""

    name: str
    title: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class Missing:
    """What could not be drawn, and why."""

    what: str
    reason: str


def illustrate(facts: Facts) -> Iterator[Drawing | Missing]:
    """The figures of the page, in order."""
    yield _rate(facts)
    yield _outcomes(facts)
    yield _times(facts)
    yield _horizons(facts)
    yield from _trajectories(facts)
    yield _representation(facts)
    yield _attention(facts)
    yield _massive_activations(facts)
    yield _baselines(facts)
    yield _incidence(facts)


def _context(facts: Facts) -> str:
    """What every caption ends with: n, the event and the horizon."""
    event = event_words(facts.event, facts.config)
    horizon = horizon_words(facts.horizon, facts.group.steps_per_epoch)
    n = sample_words(facts.group.replicas)
    return f"n = {n}. Event {event}. Horizon {horizon}."


def _rate(facts: Facts) -> Drawing:
    drawn = [record for record in facts.boundaries if limits(record, "critical")]
    curves = (
        "Curves: fitted boundaries, over the weight decays that entered them; bars at the bottom: "
        "critical weight decay λc and its interval, for the first estimator also the vertical "
        "line and band"
        if drawn
        else "No boundary is drawn: see the table of fits"
    )
    return Drawing(
        name="rate",
        title="Rate of grokking against weight decay",
        caption=(
            f"Share of replicas (dimensionless) that grokked, with {facts.level:.0%} Wilson "
            "intervals; small figures give n per weight decay (dimensionless, log axis, 0 beyond "
            f"the break). {curves}. Shares of replicas that collapsed, diverged or lost their "
            "accuracy again are marked where there are any; the first two count as not grokked. "
            f"{_context(facts)}"
        ),
        figure=rate_figure(facts.cells, facts.boundaries, facts.window_max),
    )


def _outcomes(facts: Facts) -> Drawing:
    return Drawing(
        name="outcomes",
        title="Outcome of every replica",
        caption=(
            "Share of replicas (dimensionless) by outcome, counts inside the bars, per weight "
            "decay (dimensionless). Lost means: reached the level, then fell back within the "
            f"watched tail. {_context(facts)}"
        ),
        figure=outcomes_figure(facts.cells),
    )


def _times(facts: Facts) -> Drawing:
    laws = power_laws(facts.of("times"))
    seen = int((words(facts.times, "end") == "grokked").sum())
    return Drawing(
        name="times",
        title="Time to grok against weight decay",
        caption=(
            f"Steps to the event for the {seen} replicas that grokked: a bar spans the two looks "
            "between which it happened, the dot is the later one. Open triangles are the replicas "
            "that did not, at the last step watched (the time is longer, unknown); crosses "
            "collapsed or diverged. Replicas of one weight decay are spread sideways. The dotted "
            "line is the horizon. "
            + (
                "Lines: fitted power laws, over the weight decays that entered them. "
                if laws
                else "No power law was fitted. "
            )
            + _context(facts)
        ),
        figure=times_figure(facts.times, laws, facts.horizon, facts.window_max),
    )


def _horizons(facts: Facts) -> Drawing | Missing:
    title = "The boundary moves with the horizon"
    if len(facts.cells_at) < 2:
        return Missing(title, "no fit at a second horizon is in fits.json")
    steps = ", ".join(f"{horizon}" for horizon in sorted(facts.cells_at))
    return Drawing(
        name="horizons",
        title=title,
        caption=(
            f"The same records censored at {steps} steps: rate of grokking (share, dimensionless) "
            "against weight decay, and the critical weight decay against the horizon (steps). The "
            "data are nested, so the points are correlated. Dashed: where a time of C / weight "
            f"decay, without any threshold, would put the boundary. {facts.level:.0%} intervals. "
            f"{_context(facts)}"
        ),
        figure=horizons_figure(facts.cells_at, facts.boundaries_at, facts.window_max),
    )


def _banded(facts: Facts, table: str, columns: Sequence[str]) -> pd.DataFrame | None:
    frame = facts.group.table(table, list(columns))
    if frame is None or frame.empty:
        return None
    made = bands(frame, facts.group.replicas, columns, facts.steps_drawn)
    return None if made.empty else made


def _rule(facts: Facts, *, bands_drawn: bool) -> str:
    cells = len(facts.cells)
    what = "Line and band: median and quartiles" if bands_drawn else "Line: median"
    some = f" {MAX_LINES} of {cells} weight decays are shown." if cells > MAX_LINES else ""
    return f"{what} {RULE}{some}"


def _trajectories(facts: Facts) -> Iterator[Drawing | Missing]:
    for kind in ("acc", "loss"):
        title = f"Training trajectories: {'accuracy' if kind == 'acc' else 'loss'}"
        made = _banded(facts, "evaluation", [f"train_{kind}", f"val_{kind}"])
        if made is None:
            yield Missing(title, "the evaluation table is empty")
            continue
        unit = "accuracy (0–1)" if kind == "acc" else _loss_words(facts)
        yield Drawing(
            name=f"trajectories-{kind}",
            title=title,
            caption=(
                f"Train and val {unit} against optimizer steps (log axes but for accuracy; step 0 "
                f"is not shown), a panel per weight decay. {_rule(facts, bands_drawn=True)} "
                f"{_context(facts)}"
            ),
            figure=trajectories_figure(made, kind, unit),  # type: ignore[arg-type]
        )


def _loss_words(facts: Facts) -> str:
    unit = facts.group.unit("evaluation", "train_loss")
    return f"loss ({'dimensionless' if unit == '1' else unit})"


def _marks(facts: Facts) -> dict[float, float]:
    decays, t_hi = column(facts.times, "weight_decay"), column(facts.times, "t_hi")
    known = ~np.isnan(t_hi)
    return {
        float(decay): float(np.median(t_hi[known & (decays == decay)]))
        for decay in np.unique(decays[known])
    }


def _panel_caption(facts: Facts, what: str) -> str:
    few = len(facts.cells) <= MAX_BANDS
    rule = _rule(facts, bands_drawn=few)
    return (
        f"{what} Against optimizer steps (log axis), coloured by weight decay. {rule} A dot marks "
        f"the median time to grok of the replicas that grokked. {_context(facts)}"
    )


def _attention(facts: Facts) -> Drawing | Missing:
    what = (
        "Order parameters of the attention heads on the probe examples, averaged over layers; "
        "dimensionless but for entropies, which are in nats. The table dictionary defines each."
    )
    drawn = (attention.TITLES, attention_figure)
    return _panels(facts, "attention", "Attention diagnostics", what, *drawn)


def _representation(facts: Facts) -> Drawing | Missing:
    what = (
        "What the readout reads, on the probe examples: spread of its covariance over directions, "
        "and spread between the answers over spread within them (dimensionless). They exist for "
        "every architecture; the table dictionary defines each."
    )
    drawn = (representation.TITLES, representation_figure)
    return _panels(facts, "representation", "Representation", what, *drawn)


def _panels(
    facts: Facts,
    probe: str,
    title: str,
    what: str,
    titles: Mapping[str, str],
    draw: Callable[[pd.DataFrame, Mapping[float, float]], Figure],
) -> Drawing | Missing:
    """A panel per scalar column of a probe's table, or why there is none."""
    found = facts.group.columns(f"probes/{probe}")
    made = _banded(facts, f"probes/{probe}", [name for name in titles if name in found])
    if made is None:
        off = "the probe was off, or its readings are undefined"
        return Missing(title, facts.group.absent(probe) or off)
    return Drawing(probe, title, _panel_caption(facts, what), draw(made, _marks(facts)))


def _massive_activations(facts: Facts) -> Drawing | Missing:
    title = "Massive activations"
    frame = facts.group.table("probes/massive_activations", list(_MASSIVE_TITLES))
    if frame is None or frame.empty:
        return Missing(title, facts.group.absent("massive_activations") or "the probe was off")
    wide, names = select(frame, ["run_id", "replica", "step"]), []
    for name, title_of in _MASSIVE_TITLES.items():
        layers = _layers(frame[name].tolist())
        kept = np.unique(np.linspace(0, layers.shape[1] - 1, _MAX_LAYERS).round().astype(int))
        for layer in kept:
            names.append(f"{title_of}, block {layer}")
            wide[names[-1]] = layers[:, layer]
    made = bands(wide, facts.group.replicas, names, facts.steps_drawn)
    what = (
        "Largest absolute entry of the stream after each block (counted from 0; the residual "
        "stream, or where there is none what a block hands on) over the layer-wide lower median "
        "(dimensionless, log axis), and the share of entries above ten medians."
    )
    figure = massive_activations_figure(made, _marks(facts))
    return Drawing("massive-activations", title, _panel_caption(facts, what), figure)


def _layers(lists: list[Any]) -> NDArray[np.float64]:
    """A list column as `[row, layer]`; NaN where a row is null."""
    width = max((len(row) for row in lists if row is not None), default=1)
    empty = np.full(width, np.nan)
    return np.stack([empty if row is None else np.asarray(row, dtype=np.float64) for row in lists])


def _baselines(facts: Facts) -> Drawing | Missing:
    title = "Baselines"
    pieces = [
        made
        for column, probe in _BASELINE_TABLES.items()
        if (made := _banded(facts, f"probes/{probe}", [column])) is not None
    ]
    if not pieces:
        return Missing(
            title, "the probes of weight norm, logit scale and softmax collapse were off"
        )
    made = pd.concat(pieces, ignore_index=True)
    units = ", ".join(baselines.TITLES[name] for name in made["quantity"].unique())
    what = f"What a diagnostic has to beat: {units}; dimensionless where no unit is given."
    return Drawing(
        "baselines", title, _panel_caption(facts, what), baselines_figure(made, _marks(facts))
    )


def _incidence(facts: Facts) -> Drawing:
    return Drawing(
        name="incidence",
        title="Share that has grokked, against steps",
        caption=(
            "Cumulative incidence of the event (share, dimensionless; Aalen–Johansen, the later "
            "look of each interval) against optimizer steps (log axis), by weight decay. Collapse "
            "and divergence are competing events; small bars mark records that end without an "
            f"event (censored). {_context(facts)}"
        ),
        figure=incidence_figure(facts.times),
    )

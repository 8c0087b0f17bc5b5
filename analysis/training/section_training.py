"""Figures of what the probes and the evaluation saw over training."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.page.bands import bands
from observatory.analysis.page.drawing import Drawing, NotDrawn, banded, context, marks, rule
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, select, where
from observatory.analysis.page.layered import layered, middle
from observatory.analysis.page.panels import MAX_BANDS
from observatory.analysis.training import (
    attention,
    baselines,
    phases,
    representation,
    weight_spectrum,
)
from observatory.analysis.training.aligned import aligned
from observatory.analysis.training.attention import attention_figure
from observatory.analysis.training.baselines import baselines_figure
from observatory.analysis.training.massive_activations import massive_activations_figure
from observatory.analysis.training.phases import phases_figure
from observatory.analysis.training.representation import representation_figure
from observatory.analysis.training.trajectories import trajectories_figure
from observatory.analysis.training.weight_spectrum import weight_spectrum_figure

_BASELINE_TABLES = {
    "l2": "weight_norm",
    "logit_scale": "logit_scale",
    "collapsed_share": "softmax_collapse",
}
_MASSIVE_TITLES = {"ratio": "ratio top-1 / median", "share_above_10": "share > 10 medians"}
_MAX_LAYERS = 6
"""Layers with a panel of their own; of more, as many are chosen evenly, the ends included."""
_CLOCKS = {"steps / time to memorise": "t_mem", "steps / time to grok": "t_hi"}
_SPAN = (0.1, 10.0)
"""Steps over a replica's own time, between which aligned curves are drawn."""


def draw_training(facts: Facts) -> Iterator[Drawing | NotDrawn]:
    """Trajectories, phases, and a figure per family of diagnostics."""
    yield from _trajectories(facts)
    yield _phases(facts)
    yield _representation(facts)
    yield _attention(facts)
    yield _spectra(facts)
    yield _massive_activations(facts)
    yield _baselines(facts)


def _trajectories(facts: Facts) -> Iterator[Drawing | NotDrawn]:
    for kind in ("acc", "loss"):
        title = f"Training trajectories: {'accuracy' if kind == 'acc' else 'loss'}"
        made = banded(facts, "evaluation", [f"train_{kind}", f"val_{kind}"])
        if made is None:
            yield NotDrawn(title, "the evaluation table is empty")
            continue
        unit, axes = ("accuracy (0–1)", "axis") if kind == "acc" else (_loss_words(facts), "axes")
        yield Drawing(
            name=f"trajectories-{kind}",
            title=title,
            caption=(
                f"Train and val {unit} against optimizer steps (log {axes}; step 0 is not shown), "
                f"a panel per weight decay. {rule(facts, bands_drawn=True)} {context(facts)}"
            ),
            figure=trajectories_figure(made, kind, unit),
        )


def _loss_words(facts: Facts) -> str:
    unit = facts.group.unit("evaluation", "train_loss")
    return f"loss ({'dimensionless' if unit == '1' else unit})"


def _phases(facts: Facts) -> Drawing | NotDrawn:
    title = "Heads and accuracy, aligned at memorising and grokking"
    order = ["s_bar", "sigma_h"]
    tables = {"evaluation": ["val_acc"], "probes/attention": order}
    frames = {name: facts.group.table(name, columns) for name, columns in tables.items()}
    readings = frames["probes/attention"]
    if readings is None or readings.empty or readings[order].isna().to_numpy().all():
        return NotDrawn(title, facts.group.absent("attention") or "the attention probe was off")
    decays = _phase_decays(facts)
    plain = [made for n, c in tables.items() if (made := banded(facts, n, c)) is not None]
    clocks: dict[str, pd.DataFrame] = {"steps": pd.concat(plain, ignore_index=True)}
    for label, time in _CLOCKS.items():
        anchors = facts.times.assign(time=facts.times[time])
        anchors = where(anchors, column(anchors, "time") > 0)
        made = [
            aligned(frame, anchors, tables[name], _SPAN, facts.steps_drawn)
            for name, frame in frames.items()
            if frame is not None
        ]
        clocks[label] = pd.concat([m for m in made if not m.empty] or made[:1], ignore_index=True)
    clocks = {
        label: where(table, np.isin(column(table, "weight_decay"), decays))
        for label, table in clocks.items()
    }
    return Drawing(
        name="phases",
        title=title,
        caption=(
            "Val accuracy, similarity of the heads s_bar (dimensionless) and spread of their "
            "entropies sigma_h (nats), layer means on the probe examples, for "
            f"{len(decays)} of {len(facts.cells)} weight decays. Line and band: median and "
            "quartiles over replicas. Left: against optimizer steps, as in the other figures of "
            "training. Middle and right: the same records in units of each replica’s own time to "
            "memorise and to grok (the later look; dotted line at 1), replicas with that event "
            "only, drawn where half of them have a reading: none is carried on beyond its record. "
            f"Log axes of steps. {context(facts)}"
        ),
        figure=phases_figure(clocks),
    )


def _phase_decays(facts: Facts) -> list[float]:
    """A few weight decays, evenly by rank: those at which most grokked, else any."""
    cells = column(facts.cells, "weight_decay")
    most = cells[np.nan_to_num(column(facts.cells, "rate")) >= 0.5]
    pool = most if most.size else cells
    if pool.size > phases.MAX_DECAYS:
        pool = pool[np.linspace(0, pool.size - 1, phases.MAX_DECAYS).round().astype(int)]
    return pool.tolist()


def _panel_caption(facts: Facts, what: str) -> str:
    few = len(facts.cells) <= MAX_BANDS
    lines = rule(facts, bands_drawn=few)
    return (
        f"{what} Against optimizer steps (log axis), coloured by weight decay. {lines} A dot marks "
        f"the median time to grok of the replicas that grokked. {context(facts)}"
    )


def _attention(facts: Facts) -> Drawing | NotDrawn:
    what = (
        "Order parameters of the attention heads on the probe examples, averaged over layers; "
        "dimensionless but for entropies, which are in nats. The table dictionary defines each."
    )
    drawn = (attention.TITLES, attention_figure)
    return _panels(facts, "attention", "Attention diagnostics", what, *drawn)


def _representation(facts: Facts) -> Drawing | NotDrawn:
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
) -> Drawing | NotDrawn:
    """A panel per scalar column of a probe's table, or why there is none."""
    found = facts.group.columns(f"probes/{probe}")
    made = banded(facts, f"probes/{probe}", [name for name in titles if name in found])
    if made is None:
        off = "the probe was off, or its readings are undefined"
        return NotDrawn(title, facts.group.absent(probe) or off)
    return Drawing(probe, title, _panel_caption(facts, what), draw(made, marks(facts)))


def _massive_activations(facts: Facts) -> Drawing | NotDrawn:
    title = "Massive activations"
    frame = facts.group.table("probes/massive_activations", list(_MASSIVE_TITLES))
    if frame is None or frame.empty:
        return NotDrawn(title, facts.group.absent("massive_activations") or "the probe was off")
    wide, names = select(frame, ["run_id", "replica", "step"]), []
    for name, title_of in _MASSIVE_TITLES.items():
        layers = layered(frame[name].tolist())
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
    figure = massive_activations_figure(made, marks(facts))
    return Drawing("massive-activations", title, _panel_caption(facts, what), figure)


def _spectra(facts: Facts) -> Drawing | NotDrawn:
    title, table = "Spectra of the weights", "probes/weight_spectrum"
    names = [name for name in weight_spectrum.TITLES if name in facts.group.columns(table)]
    frame = facts.group.table(table, names) if names else None
    if frame is None or frame.empty:
        return NotDrawn(title, facts.group.absent("weight_spectrum") or "the probe was off")
    wide = select(frame, ["run_id", "replica", "step"])
    for name in names:
        wide[name] = middle(layered(frame[name].tolist()))
    made = bands(wide, facts.group.replicas, names, facts.steps_drawn)
    if made.empty:
        return NotDrawn(title, "its readings are not defined")
    what = (
        "Singular values of each weight matrix: the median over the matrices of how many "
        "directions they use (dimensionless); alpha, where it is recorded, is the exponent of "
        "their heavy tail. The table dictionary defines each."
    )
    figure = weight_spectrum_figure(made, marks(facts))
    return Drawing("weight-spectrum", title, _panel_caption(facts, what), figure)


def _baselines(facts: Facts) -> Drawing | NotDrawn:
    title = "Baselines"
    pieces = [
        made
        for column, probe in _BASELINE_TABLES.items()
        if (made := banded(facts, f"probes/{probe}", [column])) is not None
    ]
    if not pieces:
        return NotDrawn(
            title, "the probes of weight norm, logit scale and softmax collapse were off"
        )
    made = pd.concat(pieces, ignore_index=True)
    units = ", ".join(baselines.TITLES[name] for name in made["quantity"].unique())
    what = f"What a diagnostic has to beat: {units}; dimensionless where no unit is given."
    return Drawing(
        "baselines", title, _panel_caption(facts, what), baselines_figure(made, marks(facts))
    )

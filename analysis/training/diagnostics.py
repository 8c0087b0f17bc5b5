"""The diagnostics of training that have panels of their own, declared; one function draws them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from observatory.analysis.page.bands import bands
from observatory.analysis.page.drawing import Drawing, NotDrawn, context, marks, rule
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, evenly, layered, middle, select, where, words
from observatory.analysis.page.panels import FEW_LOOKS, MAX_BANDS, MAX_LINES, panels_figure
from observatory.analysis.training.recorded import said_of_kept, table_of
from observatory.store.reader import EVALUATION

_MAX_LAYERS = 6
"""Layers with a panel of their own; of more, as many are chosen evenly, the ends included."""


@dataclass(frozen=True)
class Panel:
    """One quantity over training, a column of a probe's table, left out where no run has it.

    `lists` is what a row holds: one number; a number per weight matrix, of which the median is
    drawn; or a number per layer or per transform, each in a panel of its own.
    """

    probe: str
    column: str
    title: str
    log: bool = False
    lists: Literal["none", "matrices", "layers", "transforms"] = "none"


@dataclass(frozen=True)
class Diagnostic:
    """One figure of panels; `what` is what its caption says of the quantities and their units."""

    name: str
    title: str
    what: str
    panels: tuple[Panel, ...]


DIAGNOSTICS = (
    Diagnostic(
        "representation",
        "Representation",
        "Activations that enter the readout, on the probe examples: spread of their covariance "
        "over directions, and squared distance between classes over that within them "
        "(dimensionless). They exist in every architecture; the table dictionary defines each.",
        (
            Panel("representation", "spectral_entropy", "spectral entropy (0–1)"),
            Panel("representation", "effective_rank", "effective rank", log=True),
            Panel("representation", "participation_ratio", "participation ratio", log=True),
            Panel("representation", "head_tail_5", "head-tail contrast, k = 5"),
            Panel("representation", "class_ratio", "between / within classes", log=True),
        ),
    ),
    Diagnostic(
        "attention",
        "Attention diagnostics",
        "Order parameters of the attention heads on the probe examples, averaged over layers; "
        "dimensionless but for entropies, which are in nats. The table dictionary defines each.",
        (
            Panel("attention", "s_bar", "s_bar: similarity of heads"),
            Panel("attention", "s_bar_query", "s_bar_query: answer row alone"),
            Panel("attention", "sigma_h", "sigma_h: entropy spread (nats)"),
            Panel("attention", "pr_norm", "pr_norm: participation"),
            Panel("attention", "entropy", "entropy: mean (nats)"),
            Panel("attention", "entropy_range", "entropy_range (nats)"),
            Panel("attention", "spectral_gap", "spectral_gap"),
            Panel("attention", "r_phi", "r_phi: phase coherence"),
        ),
    ),
    Diagnostic(
        "weight-spectrum",
        "Spectra of the weights",
        "Singular values of each weight matrix: the median over the matrices of how many "
        "directions they use (dimensionless); alpha, where it is recorded, is the exponent of "
        "their heavy tail. The table dictionary defines each.",
        tuple(
            Panel("weight_spectrum", column, title, log, "matrices")
            for column, title, log in (
                ("alpha", "tail exponent alpha", False),
                ("stable_rank", "stable rank", True),
                ("effective_rank", "effective rank", True),
                ("participation_ratio", "participation ratio", True),
                ("spectral_entropy", "spectral entropy (0–1)", False),
            )
        ),
    ),
    Diagnostic(
        "massive-activations",
        "Massive activations",
        "Largest absolute activation after each block (counted from 0; of the residual stream, or "
        "in a model without one of the output of the block) over the layer-wide lower median "
        "(dimensionless, log axis), and the share of entries above ten medians.",
        (
            Panel("massive_activations", "ratio", "ratio top-1 / median", True, "layers"),
            Panel("massive_activations", "share_above_10", "share > 10 medians", lists="layers"),
        ),
    ),
    Diagnostic(
        "baselines",
        "Baselines",
        "What a diagnostic has to improve on: the norm of all weights, the scale of the logits and "
        "the share of examples whose softmax has collapsed; dimensionless where no unit is given.",
        (
            Panel("weight_norm", "l2", "L2 norm of all weights", log=True),
            Panel("logit_scale", "logit_scale", "logit scale (nats)", log=True),
            Panel("softmax_collapse", "collapsed_share", "softmax collapse (share)"),
        ),
    ),
)
"""Figures in the order of the page. Columns of a probe that are not named here are not drawn."""


LOW_PRECISION = Diagnostic(
    "low-precision",
    "What low precision would do",
    "Change of the loss (nats) where the operands of every product are rounded, a panel per "
    "transform, beside that by noise of the same size; and the largest relative error of a product "
    "that is changed alone (dimensionless). The weights of the training are never written.",
    (
        Panel("low_precision", "loss_change", "change of loss (nats)", lists="transforms"),
        Panel("low_precision", "noise_change", "by equal noise (nats)", lists="transforms"),
        Panel("low_precision", "output_error_max", "largest error", True, "transforms"),
    ),
)
"""Of observed runs that were asked for it."""


WHERE_RECORDED = (
    Diagnostic(
        "unit-moments",
        "Moments of hidden units",
        "Mean and variance of the hidden units after the activation, over units and examples, and "
        "the sum of the squares of a unit's incoming weights, mean over units (dimensionless).",
        (
            Panel("unit_moments", "post_mean", "mean", lists="layers"),
            Panel("unit_moments", "post_variance", "variance", True, "layers"),
            Panel("unit_moments", "squared_weights", "squared weights", True, "layers"),
        ),
    ),
    Diagnostic(
        "weight-sizes",
        "Sizes of weights",
        "The median over weight matrices of the spread and the skewness of ln|w| (0 where sizes "
        "are log-normal), and of the shares of weights up to 1e-6 and of positive ones.",
        tuple(
            Panel("weight_sizes", column, title, lists="matrices")
            for column, title in (
                ("log_std", "spread of ln|w|"),
                ("log_skewness", "skewness of ln|w|"),
                ("share_tiny", "share up to 1e-6"),
                ("share_positive", "share positive"),
            )
        ),
    ),
)
"""Of runs whose probes recorded it."""


def metrics_of(facts: Facts) -> Diagnostic:
    """The metrics that the owner of an observed loop gave, a panel each."""
    return Diagnostic(
        "metrics",
        "Metrics",
        "Every metric that the loop gave, in its own unit.",
        tuple(Panel(EVALUATION, name, name) for name in sorted(facts.group.columns(EVALUATION))),
    )


def draw_diagnostic(facts: Facts, shown: Diagnostic) -> Drawing | NotDrawn:
    """A panel per quantity that was recorded, a line per weight decay; or why there is none."""
    found: list[pd.DataFrame] = []
    titles: dict[str, Panel] = {}
    for probe in dict.fromkeys(panel.probe for panel in shown.panels):
        table = table_of(facts.group, probe)
        recorded = facts.group.columns(table)
        panels = [p for p in shown.panels if p.probe == probe and p.column in recorded]
        frame = facts.group.table(table, [p.column for p in panels]) if panels else None
        if frame is None or frame.empty:
            continue
        wide = select(frame, ["run_id", "replica", "step"])
        names = _transforms(facts)
        named = [(panel, *one) for panel in panels for one in _columns(panel, frame, names)]
        wide = wide.assign(**{title: values for _, title, values in named})
        of_probe = [title for _, title, _ in named]
        found.append(bands(wide, facts.group.replicas, of_probe, facts.steps_drawn))
        titles |= {title: panel for panel, title, _ in named}
    made = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    if made.empty:
        return NotDrawn(shown.title, facts.group.why_missing(*(p.probe for p in shown.panels)))
    still, moves = _still(made)
    if moves.empty:
        return NotDrawn(shown.title, f"the same value at every look: {still}")
    drawn = set(moves["quantity"])
    placed = sorted(titles.items(), key=lambda each: shown.panels.index(each[1]))
    lines = rule(facts, MAX_LINES, bands_drawn=len(facts.cells) <= MAX_BANDS)
    looks = [np.unique(column(part, "step")).size for _, part in moves.groupby("quantity")]
    at = marks(facts) if max(looks) > FEW_LOOKS else {}
    if min(looks) <= FEW_LOOKS:
        lines += f" Series of at most {FEW_LOOKS} looks are dots, joined faintly."
    lines += said_of_kept(facts.group, (panel.probe for panel in shown.panels))
    if still:
        lines += f" Not drawn, the same value at every look: {still}."
    return Drawing(
        name=shown.name,
        title=shown.title,
        caption=(
            f"{shown.what} Against optimizer steps (log axis; step 0 is not shown)"
            f"{_coloured(facts)}. {lines}"
            f"{_marked(facts) if max(looks) > FEW_LOOKS else ''} {context(facts)}"
        ),
        figure=panels_figure(
            moves, {title: panel.log for title, panel in placed if title in drawn}, at
        ),
    )


def _coloured(facts: Facts) -> str:
    return ", coloured by weight decay" if facts.decay_known else ""


def _marked(facts: Facts) -> str:
    """What a dot means, where there is an event that it can mark."""
    if not (facts.event and facts.decay_known):
        return ""
    had = "the event" if facts.group.observed else "grok"
    return f" A dot marks the median time to {had} of the replicas that had the event."


def _still(made: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Quantities that never change in any weight decay, in words, and the rows of the others."""
    of, low, high = words(made, "quantity"), column(made, "q25"), column(made, "q75")
    ends = {name: (low[of == name].min(), high[of == name].max()) for name in dict.fromkeys(of)}
    still = {name: ends[name][0] for name in ends if ends[name][0] == ends[name][1]}
    said = "; ".join(f"{name}, {value:g}" for name, value in still.items())
    return said, where(made, ~np.isin(of, list(still)))


def _transforms(facts: Facts) -> list[str]:
    """The transforms of the table of low precision, in its order."""
    asked = facts.group.runs[0].manifest["config"].get("probe", {}).get("low_precision", {})
    return list(asked.get("transforms", ()))


def _columns(
    panel: Panel, frame: pd.DataFrame, transforms: list[str]
) -> Iterator[tuple[str, object]]:
    """Titles and numbers, `[row]`, of what is drawn of a column."""
    if panel.lists == "none":
        yield panel.title, frame[panel.column]
        return
    lists = layered(frame[panel.column].tolist())
    if panel.lists == "matrices":
        yield panel.title, middle(lists)
        return
    if panel.lists == "transforms":
        yield from ((f"{panel.title}, {n}", lists[:, i]) for i, n in enumerate(transforms))
        return
    for layer in map(int, evenly(np.arange(lists.shape[1]).tolist(), _MAX_LAYERS)):
        yield f"{panel.title}, block {layer}", lists[:, layer]

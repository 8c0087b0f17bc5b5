"""Slopes of the boundary in learning rate and horizon, of every design of docs/clock.md.

`python docs/examples/clock_designs.py` fits the tables beside it and writes docs/clock_designs.png.
"""

from pathlib import Path

import matplotlib.pyplot as plt

import observatory as ob
from observatory.core.errors import FitRefusedError

HERE = Path(__file__).parent
DESIGNS = {
    "transformer, addition,\nAdamW, lr > 0.002": ("clock", "lr > 0.002"),
    "transformer, multiplication,\nAdamW": ("clock_mul", None),
    "MLP, addition,\nAdamW": ("clock_mlp", None),
    "LSTM, addition,\nAdamW": ("clock_lstm", None),
    "Mamba, addition,\nAdamW": ("clock_mamba", None),
    "transformer, addition,\nMuon": ("clock_muon", None),
    "MLP, addition,\nSGD with momentum": ("clock_sgd", None),
}
SLOPES = {"lr_slope": "b, of the learning rate", "horizon_slope": "c, of the horizon"}
HORIZONS = {20_000: ("#0969da", -0.13), 10_000: ("#bf8700", 0.13)}
HALF_WIDTH = 1.6
"""Axes go from 1 less this to 1 more."""


def main(to: Path) -> None:
    """Fit, and draw the picture `to`."""
    stored = {n: d for n, d in DESIGNS.items() if (HERE / f"{d[0]}.csv").exists()}
    figure, panels = plt.subplots(
        1, 2, figsize=(7.4, 0.9 + 0.5 * len(stored)), sharex=True, sharey=True, layout="constrained"
    )
    for row, (study, where) in enumerate(stored.values()):
        for horizon, (colour, shift) in HORIZONS.items():
            try:
                found = ob.fits.clock(HERE / f"{study}.csv", horizon_steps=horizon, where=where)
            except FitRefusedError as error:
                print(f"{study}, {horizon} steps: {error}")
                for panel in panels:
                    panel.text(1 - HALF_WIDTH + 0.05, row + shift, "refused", color=colour,
                               fontsize=7, va="center")  # fmt: skip
                continue
            for panel, slope in zip(panels, SLOPES, strict=True):
                p = found.record["params"][slope]
                panel.plot([p["ci_low"], p["ci_high"]], [row + shift] * 2, color=colour, lw=1.6)
                panel.plot(p["value"], row + shift, "o", color=colour, ms=4)
    for panel, label in zip(panels, SLOPES.values(), strict=True):
        for value, word in ((0, "threshold"), (1, "clock")):
            panel.axvline(value, color="#8c959f", lw=0.8, zorder=0)
            panel.text(value, 1.01, word, transform=panel.get_xaxis_transform(), ha="center",
                       fontsize=7.5, color="#57606a")  # fmt: skip
        panel.set_xlabel(label)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_xlim(1 - HALF_WIDTH, 1 + HALF_WIDTH)
    panels[0].set_yticks(range(len(stored)), list(stored), fontsize=7.5)
    panels[0].invert_yaxis()
    marks = [plt.Line2D([], [], marker="o", ms=4, color=c, label=f"T = {horizon}")
             for horizon, (c, _) in HORIZONS.items()]  # fmt: skip
    panels[1].legend(handles=marks, fontsize=7.5, frameon=False, loc="lower right")
    figure.savefig(to, dpi=160)


if __name__ == "__main__":
    main(HERE.parent / "clock_designs.png")

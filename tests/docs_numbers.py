"""Numbers of README.md and docs/ that follow from what this repository stores, between markers.

`make numbers` writes them: what stands between `<!-- numbers: NAME -->` and `<!-- end -->` is what
the function of that name in `NUMBERS` gives now. `tests/unit/test_docs_numbers.py` refuses others.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import observatory as ob
from tests import docs_causes, docs_clock, docs_forecast, docs_language_model, docs_mechanism
from tests.normal_ratio import normal_ratio
from tests.statistical import emergence_studies, forecast_studies
from tests.statistical.emergence_studies import KAPPA, truth
from tests.statistical.stored import Calibration
from tests.unit.watch import contexts

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"(<!-- numbers: (\w+) -->)(.*?)(<!-- end -->)", re.DOTALL)
MLP = ROOT / "docs" / "examples" / "laptop_map_mlp.csv"


def normal_ratios() -> str:
    sizes = {"6144": 6144, "65 536": 65_536, "2 million": 2_000_000}
    first, *others = (f"{normal_ratio(n):.2f} {{}}among {words}" for words, n in sizes.items())
    return ", ".join([first.format("medians "), *(other.format("") for other in others)])


def boundary_of_the_mlp() -> str:
    """A row per horizon: how many had the event, the boundary, its interval, what it covers."""
    heads = (
        "| horizon, steps | had the event | λc [95% interval] | it covers, in simulated studies |"
    )
    table, rows = pd.read_csv(MLP), ["", heads, "|---|---|---|---|"]
    for horizon in (2500, 1500, 1000):
        record = ob.fits.boundary(MLP, "lsq_smoothed", horizon_steps=horizon).record
        critical, covers = record["params"]["critical"], record["extras"]["coverage_simulated"]
        interval = f"[{critical['ci_low']:.3g}, {critical['ci_high']:.3g}]"
        grokked = f"{(table['t_hi'] <= horizon).sum()} of {len(table)}"
        rows.append(
            f"| {horizon} | {grokked} | {critical['value']:.3g} {interval} | {covers:.0%} |"
        )
    return "\n".join([*rows, ""])


def covered(stored: Calibration, name: str, true: float) -> str:
    """The share of the stored intervals that hold the truth, in percent."""
    ends = [(row[f"{name}_low"], row[f"{name}_high"]) for row in stored.outcomes()]
    held = [(a is None or a <= true) and (b is None or true <= b) for a, b in ends]
    return f"{100 * np.mean(held):.0f}"


def coverage_of_curves() -> str:
    of = {each.name: each for each in emergence_studies.STORED}
    peaks = {
        name: [covered(of[f"peak_{name}"], what, true) for what, true in
               zip(("step", "height"), truth(name), strict=True)]
        for name in ("P", "E")
    }  # fmt: skip
    flat = sum(row["fitted"] is True for row in of["flat"].outcomes())
    return (
        f"On {of['peak_P'].n} draws each the 95% intervals of place and height cover "
        f"{peaks['P'][0]} and {peaks['P'][1]}% for P, but {peaks['E'][0]} and {peaks['E'][1]}% "
        "for E, whose peak lies within three of the 37 steps: look more often where a peak is "
        f"sharp. Those of kappa of a relaxation cover {covered(of['kappa'], 'kappa', KAPPA)}%; "
        f"{flat} of {of['flat'].n} flat series are not refused."
    )


def verdicts_of_forecasts() -> str:
    skill, even = (each.outcomes() for each in forecast_studies.STORED)
    wrong, evenly = (sum(row["wrong"] is True for row in rows) for rows in (skill, even))
    better = sum(row["better"] is True for row in skill)
    return (
        f"Of {len(skill)} stored studies of the first set {wrong} call an unskilled signal better, "
        f"and {better} call the precursor better than every baseline; of {len(even)} of the last "
        f"set {evenly} call the even signal better than its equal."
    )


def rates_of_eight_pairs() -> str:
    """McNemar's p and Newcombe's interval where 5 of 8 pairs differ, all one way."""
    value = [0.0] * 5 + [1.0, 1.0, 0.0] + [1.0] * 7 + [0.0]
    table = pd.DataFrame({"value": value, "arm": ["a"] * 8 + ["b"] * 8, "seed": [*range(8)] * 2})
    (row,) = ob.fits.paired(table, value="value", arm="arm").frame().to_dict("records")
    return f"p = {row['p']:.4f} and an interval of {row['ci_low']:.2f} to {row['ci_high']:.2f}"


def exponents_of_the_example() -> str:
    """1 / nu, zeta / nu and the critical temperature of docs/examples/curie_weiss.csv."""
    found = ob.fits.scaling(
        ROOT / "docs" / "examples" / "curie_weiss.csv",
        size="n_spins", control="temperature", value="m",
    )  # fmt: skip
    p = found.record["params"]
    one, other, critical = (
        f"{p[name]['value']:.{digits}f} [{p[name]['ci_low']:.{digits}f}, "
        f"{p[name]['ci_high']:.{digits}f}]"
        for name, digits in (("inverse_nu", 2), ("zeta_over_nu", 2), ("critical", 3))
    )
    return (
        f"the example gives {one} and {other}, with T_c = {critical}, and "
        f"{p['sharpening']['value']:.2f} for a"
    )


def low_precision_over_training() -> str:
    """A row per transform: its change of train loss by how far the replicas had come."""
    table = pd.read_csv(ROOT / "docs" / "examples" / "low_precision_training.csv")
    table = table[(table["split"] == "train") & (table["step"] >= 100)]
    ends = pd.IntervalIndex.from_breaks([0, 0.5, 0.99, 1.01], closed="left")
    phase = pd.cut(table["val_acc"], ends).cat.codes
    table["phase"] = phase.where(table["t_hi"].notna(), 3)
    table = table[(table["phase"] < 3) | (table["step"] >= 1000)]
    columns = ["loss_change", "noise_change", "output_error_median"]
    each = table.groupby(["transform", "phase", "weight_decay", "seed"])[columns].mean()
    mean = each.groupby(["transform", "phase"]).mean()
    error = each.groupby(["transform", "phase"])["loss_change"].sem()
    heads = (
        "| change of train loss, nats | before | while it rises | after | never, from step 1000 |"
    )
    rows = ["", f"{heads} noise: before, after, never | error of a product: the same |"]
    rows.append("|---|---|---|---|---|---|---|")
    for name in table["transform"].unique():
        own = [f"{mean.loc[(name, p)]['loss_change']:.2g} ± {error[name, p]:.1g}" for p in range(4)]
        noise = [f"{mean.loc[(name, p)]['noise_change']:.2g}" for p in (0, 2, 3)]
        local = [f"{mean.loc[(name, p)]['output_error_median']:.2g}" for p in (0, 2, 3)]
        rows.append(f"| `{name}` | {' | '.join(own)} | {', '.join(noise)} | {', '.join(local)} |")
    return "\n".join([*rows, ""])


NUMBERS: dict[str, Callable[[], str]] = {
    "normal_ratios": normal_ratios,
    "normal_6144": lambda: f"{normal_ratio(6144):.2f}",
    "boundary_of_the_mlp": boundary_of_the_mlp,
    "coverage_of_curves": coverage_of_curves,
    "verdicts_of_forecasts": verdicts_of_forecasts,
    "rates_of_eight_pairs": rates_of_eight_pairs,
    "exponents_of_the_example": exponents_of_the_example,
    "low_precision_over_training": low_precision_over_training,
    "watched_networks": contexts.networks_table,
    "watched_wrappers": contexts.wrappers_table,
    **docs_language_model.NUMBERS,
    **docs_clock.NUMBERS,
    **docs_causes.NUMBERS,
    **docs_mechanism.NUMBERS,
    **docs_forecast.NUMBERS,
}


def stale(*, write: bool) -> list[str]:
    """The markers whose text differs from what is stored; written anew where asked."""
    made: dict[str, str] = {}
    found: list[str] = []

    def now(match: re.Match[str]) -> str:
        name = match[2]
        made.setdefault(name, NUMBERS[name]())
        if match[3] != made[name]:
            found.append(name)
        return f"{match[1]}{made[name]}{match[4]}"

    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        new = MARKED.sub(now, text)
        if write and new != text:
            page.write_text(new, encoding="utf-8")
    return found


if __name__ == "__main__":
    print("\n".join(stale(write=True)) or "nothing has changed")

"""What docs/causes.md says of its arms, from their table in docs/examples.

`python -m tests.docs_causes RESULTS` writes the table of the finished studies under RESULTS.
"""

import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

import observatory as ob
from observatory.analysis.fit.settings import shared_setting
from observatory.analysis.page.groups import groups
from observatory.analysis.paired.arm_records import networks_of
from observatory.analysis.paired.effects import effects
from observatory.core.errors import FitRefusedError

TABLE = Path(__file__).parents[1] / "docs" / "examples" / "causes.csv"
STUDIES = (
    "e12_laptop", "norm_and_scale_laptop", "transplant_laptop", "transplant_again",
    "transplant_moved",
)  # fmt: skip


def store(results: Path) -> None:
    """Both values of every pair of every contrast: a row per study, contrast, pair and end.

    A contrast without pairs has one row, without these: it counts in the family. Rows of a study
    that is not there stay as they are.
    """
    rows: list[dict[str, Any]] = []
    stored = pd.read_csv(TABLE)
    for study in STUDIES:
        if not (results / study).is_dir():
            rows += stored[stored["study"] == study].to_dict("records")
            continue
        nets = networks_of(groups(ob.Study(results / study)))
        for outcome in shared_setting("arm_outcomes") if nets else ():
            found, _ = effects(nets, outcome, "first99")
            for contrast in found.contrasts():
                ends = (("compared", contrast.first), ("treated", contrast.second))
                about = {
                    **{"study": study, "outcome": found.outcome},
                    "contrast": f"{contrast.arm} − {contrast.reference}",
                }
                rows += [
                    {**about, "pair": pair, "end": end, "value": value}
                    for end, values in ends
                    for pair, value in enumerate(values.tolist())
                ] or [about]
    made = pd.DataFrame(rows).astype({"pair": "Int64"})
    made.to_csv(TABLE, index=False, float_format="%.6g")


def _contrasts(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Outcome and contrast of every test of a study."""
    return list(dict.fromkeys(zip(table["outcome"], table["contrast"], strict=True)))


@cache
def record(study: str, outcome: str) -> Mapping[str, Any] | None:
    """The paired comparison of one outcome, its family being all of the study's; None: refused."""
    table = pd.read_csv(TABLE)
    own = pd.DataFrame(table[table["study"] == study])
    n_tests = len(_contrasts(own))
    rows = own[(own["outcome"] == outcome) & own["value"].notna()]
    try:
        return ob.fits.paired(
            pd.DataFrame(rows),
            value="value",
            arm="end",
            pair="pair",
            family="contrast",
            settings={"n_tests": n_tests},
        ).record
    except FitRefusedError:
        return None


def effects_of(study: str) -> str:
    """A row per outcome and contrast, with its tests."""
    table = pd.read_csv(TABLE)
    own = pd.DataFrame(table[table["study"] == study])
    heads = ("outcome", "contrast", "pairs", "mean of the second", "difference [95% interval]",
             "d", "p", "p by Holm", "verdict")  # fmt: skip
    rows = ["", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for outcome, contrast in _contrasts(own):
        found = record(study, str(outcome))
        label = f"{contrast}: treated - compared"
        start = f"| {outcome} | {str(contrast).replace('parent', 'replica')} |"
        if found is None or label not in found["params"]:
            paired = own[own["value"].notna()]
            there = (outcome, contrast) in _contrasts(pd.DataFrame(paired))
            why = "all pairs alike" if there else "no pairs"
            rows.append(f"{start} | | {why} | | | | |")
            continue
        row, p = found["table"][label], found["params"][label]
        d = "" if row.get("d_z") is None else f"{row['d_z']:.2f}"
        rows.append(
            f"{start} {row['n']} | {row['mean_first']:.3g} "
            f"| {p['value']:.3g} [{p['ci_low']:.3g}, {p['ci_high']:.3g}] "
            f"| {d} | {row['p']:.2g} | {row['p_holm']:.2g} | {row['verdict']} |"
        )
    return "\n".join([*rows, ""])


NUMBERS: dict[str, Callable[[], str]] = {
    "causes_e12": lambda: effects_of("e12_laptop"),
    "causes_norm_and_scale": lambda: effects_of("norm_and_scale_laptop"),
    "causes_transplant": lambda: effects_of("transplant_laptop"),
    "causes_transplant_again": lambda: effects_of("transplant_again"),
    "causes_transplant_moved": lambda: effects_of("transplant_moved"),
}


if __name__ == "__main__":
    store(Path(sys.argv[1]))

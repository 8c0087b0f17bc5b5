"""What docs/forecast.md says of the registered designs, from their table in docs/examples.

`python -m tests.docs_forecast RESULTS` fits the finished studies under RESULTS with their twins,
and writes the table.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

import observatory as ob
from observatory.analysis.forecast.estimators.derived import base_of
from observatory.analysis.forecast.from_runs import sources
from observatory.analysis.forecast.text import share_text

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "examples" / "forecasts.csv"
REGISTERED = ROOT / "conf" / "experiment" / "forecast.yaml"
STUDIES = {
    "forecast": "transformer, addition modulo 31",
    "forecast_mlp": "MLP, addition modulo 31",
    "forecast_dihedral": "transformer, 24 symmetries of a polygon",
}
KINDS = ("natural", "twin", "early")
COLUMNS = [
    "role", "lead", "nowcast", "within", "within_low", "within_high", "within_p_holm",
    "clock_difference", "clock_low", "clock_high", "clock_p_holm",
    "best_difference", "best_low", "best_high", "every_p_holm",
    *(f"{part}_{kind}" for kind in KINDS for part in ("false", "n")), "rule", "verdict",
]  # fmt: skip


def signals() -> list[str]:
    """The family as it was registered."""
    return yaml.safe_load(REGISTERED.read_text(encoding="utf-8"))["fit"]["forecast"]["signals"]


def recorded(study: Path) -> list[str]:
    """Those of the family that a study records: an MLP has no attention."""
    names = {source.name for source in sources(ob.Study(study).runs[0])}
    return [name for name in signals() if base_of(name) in names]


def store(results: Path) -> None:
    """A row per study and signal; rows of a study that is not there stay as they are."""
    kept = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame({"study": []})
    rows: list[dict[str, Any]] = []
    for study in STUDIES:
        pair = [results / study, results / f"{study}_twins"]
        if not all((folder / "fits.json").exists() for folder in pair):
            rows += pd.DataFrame(kept[kept["study"] == study]).to_dict("records")
            continue
        record = ob.fits.forecast(*pair, signals=recorded(pair[0])).record
        extras = record["extras"]
        about = {"events": extras["n_events"], "seeds": extras["n_seeds"]}
        for name, share in record["params"].items():
            row = record["table"][name]
            ends = {"share": share["value"], "low": share["ci_low"], "high": share["ci_high"]}
            found = {column: row.get(column) for column in COLUMNS}
            rows.append({"study": study, "signal": name, **about, **ends, **found})
        for warning in record["warnings"]:
            print(f"{study}: {warning}")
    pd.DataFrame(rows).to_csv(TABLE, index=False, float_format="%.4g")


Row = dict[str, Any]


def _signed(row: Row, of: str) -> str:
    gap, low, high = (row[f"{of}_{end}"] for end in ("difference", "low", "high"))
    return "" if pd.isna(gap) else f"{gap:+.2f} [{low:+.2f}, {high:+.2f}]"


def _number(value: float, form: str) -> str:
    return "" if pd.isna(value) else f"{value:{form}}"


def _share(row: Row) -> str:
    return share_text(row["share"], row["low"], row["high"])


def of_study(study: str) -> tuple[list[Row], list[Row]]:
    """The rows of its baselines and of its signals, most events forecast first."""
    table = pd.read_csv(TABLE)
    own = pd.DataFrame(table[table["study"] == study])
    own = own.sort_values(by="share", ascending=False, kind="stable")
    rows: list[Row] = own.to_dict("records")
    return (
        [row for row in rows if row["role"] == "baseline"],
        [row for row in rows if row["role"] != "baseline"],
    )


def compared(study: str) -> str:
    """A row per baseline and signal."""
    baselines, tested = of_study(study)
    heads = ("", "forecast", "lead, steps", "within a cell", "minus clock", "p",
             "minus best baseline", "p", f"false alarms: {', '.join(KINDS)}")  # fmt: skip
    lines = [
        "",
        f"{STUDIES[study]}: {tested[0]['events']} events with room for an alarm, "
        f"{tested[0]['seeds']} seeds. Baselines first, in italics.",
        "",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
    ]
    for row in [*baselines, *tested]:
        words = row["signal"].replace("_", " ")
        false = (f"{row[f'false_{kind}']:.0f}/{row[f'n_{kind}']:.0f}" for kind in KINDS)
        cells = (
            f"*{words}*" if row["role"] == "baseline" else f"`{row['signal']}`",
            _share(row),
            _number(row["lead"], ".0f"),
            share_text(row["within"], row["within_low"], row["within_high"]),
            _signed(row, "clock"),
            _number(row["clock_p_holm"], ".2g"),
            _signed(row, "best"),
            _number(row["every_p_holm"], ".2g"),
            ", ".join(false),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def told(tested: list[Row]) -> str:
    """How many can be told from the clock, with their names."""
    better = [row["signal"] for row in tested if str(row["verdict"]).startswith("better")]
    return f"{len(better)} can be told ({', '.join(better)})" if better else "none can be told"


def found() -> str:
    """What the tables say, in a sentence per study that was run."""
    said = list[str]()
    for study in studies():
        baselines, tested = of_study(study)
        least = {name: min(row[name] for row in tested if not pd.isna(row[name]))
                 for name in ("clock_p_holm", "within_p_holm")}  # fmt: skip
        said.append(
            f"*{STUDIES[study]}*: of {len(tested)} signals {told(tested)} from the clock "
            f"(least p {least['clock_p_holm']:.2g}); most events are forecast by "
            f"`{tested[0]['signal']}`, {_share(tested[0])}, and of the baselines by the "
            f"{baselines[0]['signal'].replace('_', ' ')}, {_share(baselines[0])}; least p of an "
            f"order within a cell {least['within_p_holm']:.2g}."
        )
    return " ".join(said)


def ordered() -> str:
    """The signals that order the replicas of one weight decay, in a sentence per study."""
    said = list[str]()
    for study in studies():
        _, tested = of_study(study)
        sure = [row for row in tested if row["within_p_holm"] < 0.05 and row["within"] > 0.5]
        names = [f"`{row['signal']}` {row['within']:.2f}" for row in sure]
        least = min(row["within_p_holm"] for row in tested if not pd.isna(row["within_p_holm"]))
        what = f"{len(sure)} of {len(tested)} signals do at p < 0.05 ({', '.join(names)})"
        none = f"none of {len(tested)} signals does at p < 0.05 (least p {least:.2g}), though the "
        none += "limits of many, taken alone, exclude 0.5"
        said.append(f"*{STUDIES[study]}*: {what if sure else none}.")
    return " ".join(said)


def studies() -> list[str]:
    """Those of which the table holds rows."""
    stored = set(pd.read_csv(TABLE)["study"])
    return [study for study in STUDIES if study in stored]


NUMBERS: dict[str, Callable[[], str]] = {
    "forecasts_found": found,
    "forecasts_ordered": ordered,
    **{f"forecasts_{study}": partial(compared, study) for study in studies()},
}

if __name__ == "__main__":
    store(Path(sys.argv[1]))

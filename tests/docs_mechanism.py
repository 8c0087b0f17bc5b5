"""What docs/mechanism.md says of its two studies, from their tables in docs/examples.

`python -m tests.docs_mechanism RESULTS` writes the tables of those that are finished under RESULTS.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import observatory as ob

TABLE = Path(__file__).parents[1] / "docs" / "examples" / "nanda_laptop.csv"
STUDY = "nanda_laptop"
LARGE = Path(__file__).parents[1] / "docs" / "examples" / "nanda2023.csv"
LARGE_STUDY = "nanda2023"
MEASURES = ["restricted_loss", "excluded_loss"]
REFERENCES = ["network_acc", "input_nn_acc", "input_kernel_acc", "input_nn_agree",
              "input_kernel_agree", "majority_agree", "final_nn_agree"]  # fmt: skip


def first(looks: pd.DataFrame, column: str, below: float) -> float:
    """The first step at which a column is below a number, NaN where it never is."""
    found = looks.loc[looks[column] < below, "step"]
    return float(found.min()) if len(found) else np.nan


def store(results: Path) -> None:
    """A row per network: when its losses fell, and what stood at the end."""
    study = ob.Study(results / STUDY)
    run = study.runs[0]
    replicas = study.replicas().set_index("replica")
    names = ["replica", "step"]
    evaluation = run.table("evaluation", [*names, "val_loss"])
    progress = run.table("probes/progress_measures", [*names, *MEASURES])
    structure = run.table("probes/group_structure", [*names, "key_count"])
    references = run.table("probes/references", [*names, *REFERENCES])
    rows = []
    for replica in replicas.index:
        val, measured, keys, answers = (
            table.loc[table["replica"] == replica].sort_values(by="step")
            for table in (evaluation, progress, structure, references)
        )
        rows.append(
            {
                "weight_decay": replicas.loc[replica, "weight_decay"],
                "seed": replicas.loc[replica, "seed"],
                "first99": replicas.loc[replica, "first99_hi"],
                "restricted_below_1": first(measured, "restricted_loss", 1.0),
                "val_below_1": first(val, "val_loss", 1.0),
                "excluded_least": measured["excluded_loss"].min(),
                "excluded_last": measured["excluded_loss"].iloc[-1],
                "keys_last": keys["key_count"].iloc[-1],
                **answers[REFERENCES].iloc[-1],
            }
        )
    pd.DataFrame(rows).to_csv(TABLE, index=False, float_format="%.4g")


def store_large(results: Path) -> None:
    """A row per network and look of the large study at which all was recorded."""
    study = ob.Study(results / LARGE_STUDY)
    run, names = study.runs[0], ["replica", "step"]
    rows = study.replicas()[["replica", "seed"]]
    for table, columns in {
        "probes/progress_measures": MEASURES,
        "probes/group_structure": ["key_count", "explained", "embed_gini"],
        "evaluation": ["train_loss", "val_loss", "val_acc"],
    }.items():
        recorded = run.table(table, [*names, *columns]).drop(columns="run_id")
        rows = rows.merge(recorded, on=[name for name in names if name in rows])
    rows.drop(columns="replica").to_csv(LARGE, index=False, float_format="%.4g")


def large_networks() -> list[pd.DataFrame]:
    """The looks of each network of the large study, in the order of steps."""
    return [looks for _, looks in pd.read_csv(LARGE).groupby("seed")]


def rise(looks: pd.DataFrame, above: float) -> float:
    """The first step after its least value at which excluded loss is above a number."""
    after = looks.iloc[int(np.argmin(looks["excluded_loss"].to_numpy())) :]
    return float(after.loc[after["excluded_loss"] > above, "step"].min())


def of(decay: float) -> pd.DataFrame:
    """The networks of a weight decay."""
    table = pd.read_csv(TABLE)
    return pd.DataFrame(table[table["weight_decay"] == decay])


def circuit() -> str:
    """Which loss falls first, and what becomes of the others."""
    decayed, free = of(1.0), of(0.0)
    gap = decayed["val_below_1"] - decayed["restricted_below_1"]
    middle, least = decayed.median(), free["keys_last"].median()
    seen, low = (int(np.isfinite(free[name]).sum()) for name in ("first99", "val_below_1"))
    earlier = int((gap.to_numpy() > 0).sum())
    return (
        "At weight decay 1 restricted loss is below 1 nat after "
        f"{middle['restricted_below_1']:.0f} steps (median), val loss after "
        f"{middle['val_below_1']:.0f}: the first comes first in {earlier} of {len(decayed)} "
        "networks. Excluded loss falls to "
        f"{middle['excluded_least']:.1f} nats and ends at {middle['excluded_last']:.1f}; "
        f"{middle['keys_last']:.0f} of 15 irreps are key at the end. At weight decay 0, {seen} of "
        f"{len(free)} networks generalise, val loss is below 1 in {low}, and {least:.0f} irreps "
        "are key at the end"
    )


def neighbours() -> str:
    """What predictors that memorise answer, and how often networks that only memorise agree."""
    free = of(0.0)
    right = 100 * free[["input_nn_acc", "input_kernel_acc"]].to_numpy().max()
    shares = {name: f"{100 * free[name].median():.0f}%" for name in REFERENCES}
    return (
        f"1-NN and the singular kernel on the operands answer {right:.0f}% of the unseen pairs as "
        "labelled. Networks at weight decay 0, of which none generalises, agree with 1-NN on "
        f"{shares['input_nn_agree']} of these pairs, with the kernel on "
        f"{shares['input_kernel_agree']} and with the majority vote on {shares['majority_agree']} "
        "(medians at the end; chance is 3%), but with 1-NN on what their own readout reads on "
        f"{shares['final_nn_agree']}; they are right on {shares['network_acc']}"
    )


def large() -> str:
    """The order of the published curves in the networks of the large study."""
    networks = large_networks()

    def each(values: Sequence[Any], form: str = ".0f") -> str:
        return " and ".join(f"{value:{form}}" for value in values)

    def steps(column: str, below: float) -> str:
        return each([first(looks, column, below) for looks in networks])

    last = [looks.iloc[-1] for looks in networks]
    least = [looks["excluded_loss"].min() for looks in networks]
    return (
        f"Train loss is below 0.01 nats by step {steps('train_loss', 0.01)}, restricted loss below "
        f"1 by {steps('restricted_loss', 1.0)}; excluded loss is least ({each(least, '.2f')} nats) "
        f"and above 1 again by step {each([rise(looks, 1.0) for looks in networks])}; val loss is "
        f"below 1 by {steps('val_loss', 1.0)}. At the end "
        f"{each([row['key_count'] for row in last])} of 57 irreps are key, "
        f"{each([100 * row['explained'] for row in last])}% of the logits' power depends on the "
        f"answer alone, and excluded loss is {each([row['excluded_loss'] for row in last], '.1f')}"
    )


NUMBERS: dict[str, Callable[[], str]] = {
    "mechanism_circuit": circuit,
    "mechanism_large": large,
    "mechanism_neighbours": neighbours,
}


if __name__ == "__main__":
    for name, write in {STUDY: store, LARGE_STUDY: store_large}.items():
        if (Path(sys.argv[1]) / name).is_dir():
            write(Path(sys.argv[1]))

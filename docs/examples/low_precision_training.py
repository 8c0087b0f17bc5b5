"""What low precision costs while a network groks: a table beside it, docs/low_precision.png.

Replicas of the laptop map at four weight decays, the smallest of which does not grok, looked at
on a log-spaced schedule, on all their train and val examples. Half an hour or less on one core.

    python docs/examples/low_precision_training.py [N_SEEDS | --draw]
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch

import observatory as ob
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.training.build import build

TRANSFORMS = (
    *("int8_tensor", "int4_token", "int4_weights", "int3_weights", "int3_awq"),
    *("fp4_e2m1", "nvfp4", "magnitude_50", "wina_50"),
)
LOOKS = (25, 50, 100, 150, 225, 300, 400, 500, 650, 800, 1000, 1250, 1600, 2000, 2500)
TABLE = Path(__file__).with_suffix(".csv")
SHOWN = {"int3_weights": "#d55e00", "int4_weights": "#0072b2", "nvfp4": "#009e73"}
EVERY = 25
"""Steps between two evaluations, as in the map."""


def main(n_seeds: int) -> None:
    """Train, look, and write the table."""
    torch.set_num_threads(1)
    seeds = ",".join(map(str, range(n_seeds)))
    config = compose(
        "map",
        [
            "experiment=laptop_map", "fleet.shards=1", f"fleet.size={4 * n_seeds}", "probe=[]",
            "sweep.scientific.weight_decay=[0.03,0.3,0.5,1.0]", f"sweep.nuisance.seed=[{seeds}]",
        ],
    )  # fmt: skip
    fleet = build(resolved(config)).shard(0, 1)
    slots, rows, grokked = fleet.fill(), [], {}
    for step in range(EVERY, LOOKS[-1] + 1, EVERY):
        fleet.advance(EVERY)
        accuracy = fleet.evaluate(slots, full=True)["val_acc"]
        for slot in slots:
            if slot not in grokked and float(accuracy[slot]) >= 0.99:
                grokked[slot] = step
        if step in LOOKS:
            for slot in slots:
                rows += look(fleet, slot, step, float(accuracy[slot]))
            print(step, len(grokked), flush=True)
    table = pd.DataFrame(rows)
    table["t_hi"] = table["slot"].map(grokked)
    table = table.drop(columns=["slot", "output_error_max"])
    table.to_csv(TABLE, index=False, float_format="%.5g")


def look(fleet, slot: int, step: int, val_acc: float) -> list[dict[str, object]]:
    """What every transform costs one replica now, on its train and on its val examples."""
    views = fleet.layout.views(fleet.flat[slot : slot + 1])
    params = {name: value[0].clone() for name, value in views.items()}
    about = {
        "slot": slot, "weight_decay": float(fleet.table.weight_decay[slot]),
        "seed": int(fleet.table.seed[slot]), "step": step, "val_acc": val_acc,
    }  # fmt: skip
    in_train = fleet.splits.in_train[slot]
    rows: list[dict[str, object]] = []
    for split, chosen in (("train", in_train), ("val", ~in_train)):
        found = ob.low_precision(
            fleet.network,
            fleet.inputs[chosen],
            labels=fleet.splits.labels[slot][chosen],
            transforms=TRANSFORMS,
            params=params,
        )
        frame = found.frame().query("scope == 'all'").drop(columns="scope").round(6)
        whose = {**about, "split": split, "loss": round(found.loss or 0.0, 6)}
        rows += [{**whose, **row} for row in frame.to_dict("records")]
    return rows


def draw() -> None:
    """The change of loss of every replica against its steps, over the step at which it grokked."""
    table = pd.read_csv(TABLE).query("split == 'train' and step >= 100 and t_hi > 0")
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    for axis, column, title in zip(
        axes, ("loss_change", "noise_change"), ("rounded", "noise of the same size"), strict=True
    ):
        for name, colour in SHOWN.items():
            for _, one in table[table["transform"] == name].groupby(["weight_decay", "seed"]):
                axis.plot(one["step"] / one["t_hi"], one[column], color=colour, alpha=0.5, lw=1)
            axis.plot([], [], color=colour, label=name)
        axis.set_yscale("log", nonpositive="mask")
        axis.axvline(1, color="#656d76", lw=0.8)
        axis.set(xscale="log", title=title, xlabel="steps / steps to 0.99 val accuracy")
    axes[0].set(ylabel="change of train loss, nats", ylim=(3e-3, 2))
    axes[0].legend(frameon=False)
    figure.savefig(TABLE.parents[1] / "low_precision.png", dpi=130)


if __name__ == "__main__":
    if "--draw" not in sys.argv:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
    draw()

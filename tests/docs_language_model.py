"""What docs/language_model.md quotes, from the tables that language_model_laws.py writes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tests.normal_ratio import normal_ratio

TABLES = Path(__file__).parents[1] / "docs" / "examples"
CONTEXT = 128


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(TABLES / f"language_model_{name}.csv")


def lines(*rows: str) -> str:
    return "\n".join(["", *rows, ""])


def text() -> str:
    found = json.loads((TABLES / "language_model_text.json").read_text())
    size = f"{found['bytes']:,}".replace(",", " ")
    return f"{size} bytes of Python {found['python']}, SHA-256 `{found['sha256'][:16]}...`"


def trained() -> str:
    """A row per model: what it is, and how massive its stream became."""
    seen = read("traces").groupby(["width", "depth"])
    heads = ("width x blocks", "parameters", "steps", "held out, nats per byte",
             "ratio: first look, largest, normal entries", "largest activation",
             "ratio of single sequences, mean (SE)")  # fmt: skip
    rows = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in read("models").to_dict("records"):
        of = seen.get_group((row["width"], row["depth"]))
        first, most = of.loc[of["step"] == 0, "stream"].max(), of["stream"].max()
        size = f"{row['n_parameters']:,}".replace(",", " ")
        rows.append(
            f"| {row['width']} x {row['depth']} | {size} | {row['steps']} "
            f"| {row['held_out_nats']:.2f} | {first:.1f}, {most:.1f}, "
            f"{normal_ratio(int(row['entries'])):.1f} | {of['top1'].max():.1f} "
            f"| {row['sequence_mean']:.1f} ({row['sequence_se']:.1f}) |"
        )
    return lines(*rows)


def verdict() -> str:
    """The largest ratio and activation of all streams, beside what is called massive."""
    seen, models = read("traces"), read("models")
    most, top = seen.loc[seen["stream"].idxmax()], seen.loc[seen["top1"].idxmax()]
    ends = seen[seen.groupby(["width", "depth"])["step"].transform("max") == seen["step"]]
    massive = seen[(seen["top1"] > 100) & (seen["stream"] >= 1000)]
    blocks = len(massive.groupby(["width", "depth", "layer"]))
    chance = np.mean(1.0 / np.arange(1, CONTEXT + 1))
    first = (ends["position"] == 0).sum()
    sinks = f"{ends['sink'].min():.3f} to {ends['sink'].max():.3f}"
    return (
        f"The largest ratio of any stream is {most['stream']:.1f} ({most['width']:.0f} x "
        f"{most['depth']:.0f}, layer {most['layer']:.0f}, step {most['step']:.0f}), the largest "
        f"activation {top['top1']:.0f} ({top['width']:.0f} x {top['depth']:.0f}). Both parts of "
        f"the rule together, above 100 and 1000 medians, hold in {blocks} of {len(ends)} blocks "
        f"of {len(models)} models. At the last look the maximum is at the first position in "
        f"{first} blocks, and the first key gets {sinks} of the attention, where an even spread "
        f"gives {chance:.3f}"
    )


def growth() -> str:
    """The power of a step with which a stream's ratio grows after warm-up, by width."""
    found = read("laws").query("site == 'stream' & looks == 'after warm-up'")
    ends = found.groupby("width")["power"].agg(["min", "max"])
    return ", ".join(
        f"{row['min']:.2f} to {row['max']:.2f} at width {width}" for width, row in ends.iterrows()
    )


def reach() -> str:
    """The first step at which a block of the largest model would be at 1000 medians."""
    found = read("laws").query("site == 'stream' & looks == 'after warm-up'")
    of = found[found["width"] == found["width"].max()]
    steps = of["last_step"] * (1000 / of["last"]) ** (1 / of["power"])
    return f"{float(f'{steps.min():.1g}'):.0f}"


def classes() -> str:
    """Blocks by class of their law, a row per place and spacing of the looks."""
    names = ("early peak", "log increase", "decay only", "trough", "none")
    heads = (*names[:4], "refused")
    rows = [f"| where | looks | {' | '.join(heads)} | median R² | the law is best by AICc |",
            "|" + "---|" * 9]  # fmt: skip
    words = {"stream": "stream", "attn_out": "attention adds", "mlp_out": "MLP adds",
             "mlp_post": "last matrix of the MLP reads"}  # fmt: skip
    laws = read("laws")
    for looks in ("after warm-up", "from step 0"):
        for site, what in words.items():
            of = laws[(laws["site"] == site) & (laws["looks"] == looks)]
            if not len(of):
                continue
            counts = " | ".join(str((of["class"] == name).sum()) for name in names)
            best = (of["best_law"] == "emergence").sum()
            rows.append(
                f"| {what} | {looks} | {counts} | {of['r2'].median():.2f} | {best} of {len(of)} |"
            )
    return lines(*rows)


def identified() -> str:
    """Which numbers of the law the looks at the stream after warm-up determine."""
    asked = "site == 'stream' & looks == 'after warm-up' & `class` != 'none'"
    of = read("laws").query(asked)
    known = [
        f"{name} in {of[f'{name}_known'].astype(bool).sum()}"
        for name in ("A", "lambda", "gamma", "t0", "K")
    ]
    return f"Of {len(of)} fitted streams the looks determine {', '.join(known)}"


def foretold() -> str:
    """A row per number: error of ridge and of a constant, by split."""
    heads = ("number", "models, blocks", "ridge", "constant", "models on which ridge is better",
             "blocks left out at random: ridge, constant")  # fmt: skip
    rows = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    rows += [
        f"| {row['number']} | {row['models']}, {row['blocks']} | {row['ridge']:.3g} "
        f"| {row['constant']:.3g} | {row['better_on']} "
        f"| {row['ridge_mixed']:.3g}, {row['constant_mixed']:.3g} |"
        for row in read("regression").to_dict("records")
    ]
    return lines(*rows)


NUMBERS = {
    f"language_model_{made.__name__}": made
    for made in (text, trained, verdict, growth, reach, classes, identified, foretold)
}

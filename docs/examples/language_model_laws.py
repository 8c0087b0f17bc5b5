"""What language_model.py's networks show: tables beside this file, docs/language_model*.png.

    python docs/examples/language_model_laws.py --preset long [--trained FOLDER] [--to FOLDER]

reads what language_model.py observed, or, without --trained, the tables that were written before;
fits the five-parameter law of arXiv:2508.03616 to every block and place of every model, and asks
with every model left out in turn whether width, depth and place of a block foretell its numbers.
"""

import argparse
import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import language_model
import language_model_figures as figures
import language_model_regression as regression
import numpy as np
import pandas as pd
import torch
import yaml
from safetensors.torch import load_file

import observatory as ob

SITES = {
    "stream": "massive_activations",
    "attn_out": "massive_attn_out",
    "mlp_out": "massive_mlp_out",
    "mlp_post": "massive_mlp_post",
}
MASSIVE_TOP, MASSIVE_RATIO = 100.0, 1000.0
"""What Sun et al. 2024 call massive, arXiv:2402.17762: above 100, and 1000 medians."""
TABLES = Path(__file__).parent
Rows = list[dict[str, Any]]
PARAMETERS = ("A", "lambda", "gamma", "t0", "K")


def trained_runs(trained: Path) -> list[tuple[ob.Run, Path]]:
    """Every run that has a checkpoint, and it."""
    found = []
    for run in ob.Study(trained / "study").runs:
        settings = run.manifest["settings"]
        kept = trained / "checkpoints" / f"{settings['width']}x{settings['depth']}.safetensors"
        if kept.exists():
            found.append((run, kept))
    return found


def traces(runs: Iterable[ob.Run]) -> pd.DataFrame:
    """A row per model, block and look: ratios of all sites, and what the stream's are made of."""
    parts = []
    for run in runs:
        columns: dict[str, Any] = {}
        for site, table in SITES.items():
            found = run.table(f"probes/{table}").set_index("step")
            columns[site] = found["ratio"]
            if site == "stream":
                columns |= {name: found[name] for name in ("top1", "position", "channel")}
                columns["median"] = found["median_layerwide_lower"]
        heads = run.table("probes/attention_heads").set_index("step")["sink_mass"]
        columns["sink"] = heads.map(lambda layers: [float(np.mean(each)) for each in layers])
        wide = pd.DataFrame(columns)
        n_layers = len(wide["stream"].iloc[0])
        wide["layer"] = [list(range(n_layers))] * len(wide)
        long = wide.reset_index().explode([*columns, "layer"], ignore_index=True)
        settings = run.manifest["settings"]
        long.insert(0, "width", settings["width"])
        long.insert(1, "depth", settings["depth"])
        parts.append(long)
    every = pd.concat(parts, ignore_index=True).infer_objects()
    order = ["width", "depth", "layer", "step"]
    numbers = [*SITES, "top1", "median", "sink", "position", "channel"]
    typed = every.astype(dict.fromkeys(numbers[:-2], float))
    return typed.sort_values(by=order).loc[:, [*order, *numbers]]


def models(runs: Iterable[tuple[ob.Run, Path]]) -> pd.DataFrame:
    """A row per model: its size, how far it got, its loss, and the ratio sequence by sequence."""
    rows = []
    for run, checkpoint in runs:
        settings, seen = run.manifest["settings"], run.table("evaluation")
        probed = torch.load(run.folder / "probe_batch.pt", weights_only=True)
        width, depth = settings["width"], settings["depth"]
        network = language_model.LanguageModel(width, depth)
        state = load_file(checkpoint)
        weights = {k[7:]: value for k, value in state.items() if k.startswith("weight.")}
        network.load_state_dict(weights)
        each = np.stack([sequence_ratios(network, tokens[None]) for tokens in probed])
        top = int(each.mean(axis=0).argmax())
        mean, spread = each[:, top].mean(), each[:, top].std(ddof=1)
        loss = seen["val_loss"].dropna()
        rows.append(
            {
                "width": width, "depth": depth, "n_parameters": settings["n_parameters"],
                "steps": int(state["made"]), "held_out_nats": float(loss.iloc[-1]),
                "entries": probed.numel() * width, "layer": top,
                "sequence_mean": mean, "sequence_se": spread / len(each) ** 0.5,
            }
        )  # fmt: skip
    return pd.DataFrame(rows).sort_values(["width", "depth"], ignore_index=True)


def sequence_ratios(network: torch.nn.Module, tokens: torch.Tensor) -> np.ndarray:
    """Largest over median of every block's stream, of one sequence alone."""
    found = ob.probe(network, tokens, probes=["massive_activations"]).frame()
    kept = (found["table"] == "massive_activations") & (found["quantity"] == "ratio")
    return found.loc[kept, "value"].to_numpy(dtype=float)


def laws(seen: pd.DataFrame, looks: str, sites: Iterable[str], given: dict[str, Any]) -> Rows:
    """A row per model, site and block: class, numbers of the law, and how massive it became.

    `common` is the ratio at the last step that all models have.
    """
    rows: Rows = []
    steps, shared = np.unique(seen["step"].to_numpy(dtype=float), return_counts=True)
    common = float(steps[shared == shared.max()].max())
    for site in sites:
        options = {"n_bootstrap": given["n_bootstrap"], "seed": given["seed"]}
        found = ob.fits.curves(
            seen, "emergence", value=site, group=["width", "depth", "layer"], **options
        )
        for record in found.records:
            values, at = (record["curves"][f"data.{name}"] for name in ("value", "step"))
            ends = {"looks": looks, "last_step": at[-1], "last": values[-1]}
            ends |= {"most": max(values), "common": values[at.index(common)]}
            rows.append({"site": site, **record["group"], **ends, **law_row(record)})
            if at[0] > 0:
                rows[-1]["power"] = np.polyfit(np.log(at), np.log(values), 1)[0]
            rows[-1]["curves"] = record["curves"]
    return rows


def fitted_traces(rows: Rows) -> pd.DataFrame:
    """The law of every block's stream at the looks that it was fitted to; none where refused."""
    parts = [
        pd.DataFrame({"step": row["curves"]["data.step"]}).assign(
            law=np.interp(
                row["curves"]["data.step"], row["curves"]["fit.step"], row["curves"]["fit.value"]
            ),
            **{name: row[name] for name in ("width", "depth", "layer")},
        )
        for row in rows
        if row["site"] == "stream" and "fit.step" in row["curves"]
    ]
    return pd.concat(parts, ignore_index=True)


def law_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """What of a record of the fit is kept; nothing but the reason where it was refused."""
    if record["refused"]:
        return {"class": "none", "refused": record["refused"]}
    extras = record["extras"]
    row: dict[str, Any] = {}
    row["class"], row["class_share"] = extras["class"], extras["class_share"]
    row["r2"], row["best_law"] = extras["r2"], extras["best_law"]
    for name in ("t_peak", "height"):
        for part in ("value", "ci_low", "ci_high"):
            key = name if part == "value" else f"{name}_{part[3:]}"
            row[key] = record["params"].get(name, {}).get(part)
    for name in PARAMETERS:
        row[name], row[f"{name}_known"] = extras[f"optimum_{name}"], name in record["params"]
    return row


def text_used() -> dict[str, Any]:
    """Which text a model of this Python is trained on."""
    text = language_model.corpus().numpy().tobytes()
    digest = hashlib.sha256(text).hexdigest()
    return {"python": platform.python_version(), "bytes": len(text), "sha256": digest}


def main() -> None:
    """Tables, each from those before as they were written, and figures of the tables."""
    parser = argparse.ArgumentParser(description="Laws of what language_model.py observed.")
    parser.add_argument("--trained", type=Path, help="the --out of language_model.py")
    parser.add_argument("--preset", choices=["seconds", "minutes", "long"], required=True)
    parser.add_argument("--to", type=Path, default=TABLES)
    asked = parser.parse_args()
    given = yaml.safe_load(Path(language_model.__file__).with_suffix(".yaml").read_text())
    given = given[asked.preset] | given["laws"]
    asked.to.mkdir(parents=True, exist_ok=True)

    def kept(name: str, made: pd.DataFrame | None = None) -> pd.DataFrame:
        path = asked.to / f"language_model_{name}.csv"
        if made is not None:
            made.to_csv(path, index=False, float_format="%.5g")
            print(path)
        return pd.read_csv(path)

    if asked.trained:
        runs = trained_runs(asked.trained)
        kept("traces", traces(run for run, _ in runs))
        kept("models", models(runs))
        (asked.to / "language_model_text.json").write_text(json.dumps(text_used()) + "\n")
    seen = kept("traces")
    found = laws(seen.loc[seen["step"] >= given["warm_up"]], "after warm-up", SITES, given)
    kept("fitted", fitted_traces(found))
    found += laws(seen, "from step 0", ["stream"], given)
    fitted = kept("laws", pd.DataFrame(found).drop(columns="curves"))
    compared = fitted.query("site == 'stream' & looks == 'after warm-up'")
    kept("regression", regression.left_out(compared, given))
    figures.draw(asked.to, asked.to if asked.to != TABLES else TABLES.parent)


if __name__ == "__main__":
    main()

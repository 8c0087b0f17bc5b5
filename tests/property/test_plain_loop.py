"""A plain PyTorch loop over the smoke preset, watched, against the fleet that trains the same.

In float64: both then stay the same networks. In float32 they are the same at first only, since
the gradient of a bias of the keys is zero but for rounding, and Adam divides it by its own size.
"""

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from observatory import fits
from observatory.core.rng import named_generator
from observatory.core.schedule import LogSpaced
from observatory.fleet.evaluate import evaluate
from observatory.fleet.fleet import Fleet
from observatory.store.reader import Study
from observatory.training.build import Parts, build
from observatory.watch.online.observer import Observe
from tests.composed import composed

DECAYS, SEEDS, HORIZON, EVERY, LEVEL = (0.5, 0.7, 1.0), (1, 2, 3, 4), 400, 10, 0.99
EARLY = 100  # the step at which weights are compared: behind the transition rounding grows


@pytest.fixture(scope="module")
def parts() -> Parts:
    return build(
        composed(
            "train",
            *("experiment=smoke", "fleet.shards=1", f"fleet.size={len(DECAYS) * len(SEEDS)}"),
            *(
                "fleet.dtype=float64",
                "fleet.loss_dtype=float64",
                "fleet.compile=off",
                "fleet.graphs=off",
            ),
            *("fleet.device=cpu", f"horizon_steps={HORIZON}"),
            f"sweep.scientific.weight_decay={list(DECAYS)}",
            f"sweep.nuisance.seed={list(SEEDS)}",
        )
    )


def val_accuracies(fleet: Fleet) -> Tensor:
    inputs, labels, in_train = fleet.splits.looked_at(slice(None), full=True)
    params = fleet.layout.views(fleet.flat)
    found = evaluate(
        fleet.forward, fleet.loss, params, inputs, labels, in_train, fleet.loss_dtype, 2048
    )
    return found["val_acc"]


def by_the_fleet(parts: Parts) -> tuple[pd.DataFrame, Tensor]:
    """The step of the event of every replica, and the weights at `EARLY`."""
    fleet = parts.shard(0, 1)
    fleet.fill()
    reached: dict[int, int] = {}
    early = fleet.flat.clone()
    for step in range(EVERY, HORIZON + 1, EVERY):
        fleet.advance(EVERY)
        for slot in (val_accuracies(fleet) >= LEVEL).nonzero()[:, 0].tolist():
            reached.setdefault(slot, step)
        early = fleet.flat.clone() if step == EARLY else early
    table = fleet.table
    rows = [
        (float(table.weight_decay[row]), int(table.seed[row]), reached.get(slot))
        for slot, row in enumerate(fleet.slots)
    ]
    columns = ["weight_decay", "seed", "step"]
    return pd.DataFrame(rows, columns=columns).set_index(columns[:2]), early


def by_a_loop(parts: Parts, folder: Path, weight_decay: float, seed: int) -> Tensor:
    """One training as its owner would write it, on the weights and examples of that replica.

    Returns:
        The weights at `EARLY`, flat.
    """
    model, split = parts.network.double(), parts.dataset.draw(seed)
    model.initialise(named_generator(seed, "init"))  # type: ignore[operator]
    examples = parts.dataset.inputs
    x, y = examples[split.train], split.labels[split.train]
    val_x, val_y = examples[split.val], split.labels[split.val]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=0.01, weight_decay=weight_decay, betas=(0.9, 0.98)
    )
    watch = Observe(
        folder, batch=parts.probe_examples(), every=LogSpaced(2), spectra=LogSpaced(1),
        budget=None, event=f"val_acc >= {LEVEL}",
    )  # fmt: skip
    settings = {"weight_decay": weight_decay, "lr": 0.01, "seed": seed}
    watch.begin(model, settings, horizon_steps=HORIZON)
    early, reached = torch.empty(0), False
    for step in range(1, HORIZON + 1):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        metrics = {}
        if step % EVERY == 0:
            with torch.no_grad():
                right = model(val_x).argmax(dim=1) == val_y
            metrics = {"val_acc": right.double().mean()}
            reached = bool(metrics["val_acc"] >= LEVEL)
        watch.step(step, **metrics)
        if step == EARLY:
            early = torch.cat([each.detach().flatten() for each in model.parameters()])
        if reached:
            break
    assert watch.end() is not None
    return early


@pytest.mark.slow
def test_a_watched_loop_trains_the_networks_of_the_fleet_and_has_their_events(
    parts: Parts, tmp_path: Path
) -> None:
    expected, weights = by_the_fleet(parts)
    for place, (weight_decay, seed) in enumerate(expected.index):
        flat = by_a_loop(parts, tmp_path / "mine", weight_decay, seed)
        torch.testing.assert_close(flat, weights[place], atol=1e-8, rtol=0)
    study = Study(tmp_path / "mine")
    found = study.replicas().set_index(["weight_decay", "seed"])["reached_hi"]
    pd.testing.assert_series_equal(
        found.reindex(expected.index).astype("Int64"), expected["step"].astype("Int64"),
        check_names=False,
    )  # fmt: skip
    of_the_fleet = fits.boundary(
        expected.reset_index().rename(columns={"step": "time"}), "firth", horizon_steps=HORIZON
    )
    of_the_loop = fits.boundary(study, "firth")
    assert of_the_loop.params.equals(of_the_fleet.params)
    low, high = of_the_fleet.conf_int().loc["critical"]
    assert low < of_the_loop.params["critical"] < high
    assert 2 <= expected["step"].notna().sum() <= len(expected) - 2

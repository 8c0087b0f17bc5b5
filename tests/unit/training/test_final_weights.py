"""Final weights: what a network left with is kept once, survives a stop, and can be given away."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from observatory.bundle.export import export_study
from observatory.bundle.unpack import import_bundle
from observatory.core.errors import ConfigError, StoreError
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.launch.run import launch
from observatory.launch.workers import StoppedError
from observatory.store.files import read_json
from observatory.store.reader import Run, Study
from observatory.store.writer import update_manifest
from observatory.training import callbacks
from observatory.training.build import build
from observatory.training.replicas import Config

HORIZON = 60
TINY = [
    *("task.p=7", "model.d_model=16", "model.d_mlp=16", "probe=[weight_norm]", "study=tiny"),
    *(f"horizon_steps={HORIZON}", "evaluation.every=20", "fleet.shards=1", "fleet.size=2"),
    *("+sweep.scientific.weight_decay=[0.0,1.0,2.0,3.0,4.0]", "+sweep.nuisance.seed=[0]"),
]
"""Five networks on two seats: the first two leave after 60 steps of the fleet."""


def tiny(results: Path, *more: str) -> Config:
    return compose("train", [*TINY, f"results={results}", *more])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nothing disturbed."""
    return Run(launch(tiny(tmp_path_factory.mktemp("whole"))))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same run, stopped when two networks had left, two trained and one waited."""
    act = callbacks.StopCallback.act

    def stopping(self, trainer, module):
        if module.fleet.tick > HORIZON + 10:
            self.received.append(15)
        act(self, trainer, module)

    results = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.StopCallback, "act", stopping)
        with pytest.raises(StoppedError):
            launch(tiny(results))
    (run,) = Study(results / "tiny").runs
    return run


def by_hand(run: Run, steps: Sequence[int]) -> list[np.ndarray]:
    """The flat rows of the run's replicas, two after two, after so many steps each."""
    fleet = build(run.manifest["config"]).shard(0, 1)
    rows = []
    for made in steps:
        seated = fleet.fill()
        fleet.advance(made)
        rows += [fleet.flat[slot].numpy().copy() for slot in seated]
        for slot in seated:
            fleet.vacate(slot)
    return rows


@pytest.mark.slow
def test_the_table_holds_the_last_row_of_each_network(whole: Run) -> None:
    table, ended = whole.table("weights"), whole.outcomes()
    assert table["replica"].tolist() == ended["replica"].tolist() == [0, 1, 2, 3, 4]
    assert table["step"].tolist() == ended["step"].tolist() == [HORIZON] * 5
    for found, expected in zip(table["parameters"], by_hand(whole, [HORIZON] * 3), strict=True):
        assert found.dtype == np.float32
        assert np.array_equal(found, expected)


def test_the_docs_cut_a_row_into_tensors(whole: Run) -> None:
    text = (Path(__file__).parents[3] / "docs/sharing.md").read_text()
    section = text.partition("## Final weights from the store")[2]
    code = section.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code.replace("results/smoke", str(whole.folder.parents[1])), names)
    expected = dict(build(whole.manifest["config"]).network.named_parameters())
    assert {n: t.shape for n, t in names["tensors"].items()} == {
        name: tuple(parameter.shape) for name, parameter in expected.items()
    }


@pytest.mark.slow
def test_cut_by_the_manifest_it_is_the_network_that_trained_alone(tmp_path: Path) -> None:
    double = ["fleet.dtype=float64", "fleet.loss_dtype=float64", "horizon_steps=40"]
    run = Run(launch(tiny(tmp_path, *double)))
    sweep = ["+sweep.scientific.weight_decay=[3.0]", "+sweep.nuisance.seed=[0]"]
    fleet = build(resolved(compose("train", [*TINY[:-2], *double, *sweep]))).shard(0, 1)
    fleet.fill()
    fleet.advance(40)
    flat = torch.from_numpy(run.table("weights")["parameters"][3])
    assert flat.dtype == torch.float64
    layout = run.manifest["model"]["layout"]
    pieces = flat.split([math.prod(weight["shape"]) for weight in layout])
    params = {w["name"]: p.reshape(w["shape"]) for w, p in zip(layout, pieces, strict=True)}
    fleet.network.load_state_dict(params)
    logits = fleet.network(fleet.inputs)
    fleet.network.load_state_dict(
        {name: view[0] for name, view in fleet.layout.views(fleet.flat).items()}
    )
    assert torch.allclose(logits, fleet.network(fleet.inputs), rtol=0, atol=1e-9)


@pytest.mark.slow
def test_a_study_under_way_gives_both_kinds_and_names_the_rest(
    stopped: Run, tmp_path: Path
) -> None:
    study = stopped.folder.parents[1]
    bundle = export_study(study, tmp_path / "out", weights=True, partial=True)
    steps = pd.read_csv(bundle / "weights.csv").sort_values("replica")["step"].tolist()
    assert steps[:2] == [HORIZON, HORIZON]
    assert 0 < steps[2] == steps[3] < HORIZON
    assert np.isnan(steps[4])
    for replica, expected in enumerate(by_hand(stopped, [HORIZON, int(steps[2])])):
        path = bundle / f"weights/{stopped.run_id}/replica-{replica:06d}.safetensors"
        network = build(stopped.manifest["config"]).network
        network.load_state_dict(load_file(path))
        flat = torch.cat([p.detach().reshape(-1) for p in network.parameters()])
        assert np.array_equal(flat, expected)
    text = (bundle / "README.md").read_text()
    assert "Of 4 of 5 networks, see `weights.csv`" in text
    assert f"There are none of replica 4 of `{stopped.run_id}`." in text


def test_a_bundle_has_the_tensors_once_and_gives_them_back(whole: Run, tmp_path: Path) -> None:
    study = whole.folder.parents[1]
    bundle = export_study(study, tmp_path / "with.tar", weights=True)
    brought = import_bundle(bundle, tmp_path / "results")
    assert not list(brought.glob("runs/*/shards/*/weights"))
    (run,) = Study(brought).runs
    assert set(whole.tables()) - set(run.tables()) == {"weights"}
    assert "\n## weights\n" not in (brought / "README.md").read_text()
    again = export_study(brought, tmp_path / "again.tar", weights=True)
    assert again.read_bytes() == bundle.read_bytes()
    without = export_study(study, tmp_path / "without")
    assert not list(without.rglob("*weights"))
    assert export_study(brought, tmp_path / "without.tar").read_bytes() == (
        export_study(study, tmp_path / "same.tar").read_bytes()
    )


def rename(path: Path) -> None:
    path.rename(path.with_name("replica-000009.safetensors"))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("change", "told"), [(rename, "is of replica 0: it was renamed"), (cut_short, "cannot be read")]
)
def test_weights_that_were_changed_after_an_import_are_refused(
    whole: Run, tmp_path: Path, change: Callable[[Path], None], told: str
) -> None:
    bundle = export_study(whole.folder.parents[1], tmp_path / "out", weights=True)
    change(bundle / f"weights/{whole.run_id}/replica-000000.safetensors")
    with pytest.raises(StoreError, match=told):
        export_study(bundle, tmp_path / "again", weights=True)
    assert not (tmp_path / "again").exists()


def test_another_layout_than_the_rows_is_refused(stopped: Run, tmp_path: Path) -> None:
    before = read_json(stopped.folder / "manifest.json")["model"]
    update_manifest(stopped.folder, model={**before, "layout": before["layout"][1:]})
    with pytest.raises(StoreError, match="another version of the model wrote it"):
        export_study(stopped.folder.parents[1], tmp_path / "out", weights=True, partial=True)
    update_manifest(stopped.folder, model=before)


@pytest.mark.slow
def test_a_run_goes_on_as_it_was_begun(stopped: Run, whole: Run) -> None:
    """Last: it ends the stopped run, though the setting is another now."""
    results = stopped.folder.parents[2]
    launch(tiny(results, "store.final_weights=false"))
    assert stopped.table("weights").equals(whole.table("weights"))


@pytest.mark.slow
def test_a_run_that_was_begun_without_the_table_goes_on_without(tmp_path: Path) -> None:
    folder = launch(tiny(tmp_path, "store.final_weights=false", "horizon_steps=20"))
    assert "weights" not in Run(folder).tables()
    manifest = read_json(folder / "manifest.json")
    del manifest["model"]["layout"], manifest["config"]["store"]["final_weights"]
    update_manifest(folder, status="running", model=manifest["model"], config=manifest["config"])
    (folder / "shards" / "0").rename(tmp_path / "earlier")
    assert launch(tiny(tmp_path, "horizon_steps=20")) == folder
    assert (folder / "shards" / "0" / "outcomes").is_dir()
    assert not (folder / "shards" / "0" / "weights").exists()
    with pytest.raises(ConfigError, match=r"`--weights` finds none.*store\.final_weights=false"):
        export_study(folder.parents[1], tmp_path / "out", weights=True)


def test_a_setting_that_is_no_boolean_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`store\.final_weights` must be true or false"):
        launch(tiny(tmp_path, "store.final_weights=7"))
    assert not list(tmp_path.iterdir())

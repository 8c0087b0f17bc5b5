"""Every YAML of conf/experiment composes, builds, and takes two steps with all its looks."""

from pathlib import Path
from typing import Any

import pytest
import torch

import observatory
from observatory.core.errors import ConfigError
from observatory.launch.compose import compose, compose_runs
from observatory.launch.layout import resolved
from observatory.launch.manifest import manifest_of
from observatory.store.identity import identity
from observatory.training.build import build
from observatory.training.device import check_matmul
from observatory.training.replicas import replica_table
from tests.composed import composed

NAMES = sorted(
    path.stem
    for path in (Path(observatory.__file__).parents[1] / "conf" / "experiment").glob("*.yaml")
)
COHORTS = {  # replicas of all runs, horizon in steps; arXiv:2605.20441 where its name begins with e
    **{"laptop_map": (88, 2500), "smoke": (12, 600), "li2_2025": (16, 400)},
    **{"kan_arms": (88, 2500), "kan_arms_mul": (88, 2500)},
    **{"forecast": (60, 6000), "forecast_mlp": (60, 6000), "forecast_dihedral": (60, 6000)},
    **{"nanda_laptop": (16, 2000), "clock": (480, 20_000), "clock_pair": (60, 20_000)},
    **{"wd_canonical": (190, 200_000), "dense": (190, 200_000), "e1": (3, 200_000)},
    **{"e2": (1, 200_000), "e4_e8": (20, 200_000), "e5": (90, 200_000), "e7": (70, 100_000)},
    **{"e9": (280, 100_000), "e10": (70, 100_000), "e11": (50, 200_000), "e14": (70, 100_000)},
    **{"e15": (140, 100_000), "e15_mul": (70, 100_000), "e6": (4, 200_000), "e13": (5, 200_000)},
    **{
        "e12": (80, 100_000),
        "e12_laptop": (40, 1000),
        "norm_and_scale_laptop": (32, 1000),
    },  # with arms
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_takes_two_steps(name: str) -> None:
    overrides = [
        f"experiment={name}",
        "fleet.shards=1",
        "fleet.size=1",
        "fleet.device=cpu",
        "fleet.compile=off",
        "evaluation.subset=64",
    ]
    parts = build(resolved(compose("train", overrides)))
    fleet = parts.shard(0, 1)
    fleet.fill()
    fleet.advance(2)
    measured = fleet.evaluate([0], full=False)
    assert all(torch.isfinite(value).all() for value in measured.values())
    with torch.no_grad():
        for scheduled in parts.probes.values():
            measured = scheduled.probe.measure(fleet.view(fleet.look([0])))
            assert measured.keys() == {column.name for column in scheduled.probe.columns}
    assert fleet.ages == [2]
    assert fleet.diverged_steps() == [None]


@pytest.mark.slow
@pytest.mark.parametrize("name", COHORTS)
def test_the_cohorts_have_their_sizes(name: str) -> None:
    runs = compose_runs("train", [f"experiment={name}"]).values()
    n_replicas = sum(len(replica_table(config)) for config in runs)
    assert (n_replicas, {config["horizon_steps"] for config in runs}) == (
        COHORTS[name][0],
        {COHORTS[name][1]},
    )


@pytest.mark.slow
def test_identity_sees_what_changes_a_number_and_nothing_else() -> None:
    def code(*overrides: str) -> str:
        return identity(resolved(compose("train", ["experiment=smoke", *overrides])))

    base = code()
    for silent in (
        "results=elsewhere",
        "study=other",
        "store.checkpoint_every=7",
        "store.final_weights=false",
        "mlflow.points=10",
    ):
        assert code(silent) == base, silent
    for speaking in (
        "seed=1",
        "fleet.shards=2",
        "fleet.size=3",
        "fleet.dtype=float64",
        "fleet.loss_dtype=float64",
        "optimizer.update.beta2=0.99",
        "task.p=29",
        "horizon_steps=610",
        "probe.attention.schedule.k=20",
        "event.held99.persistence=4",
        "retirement.tail_steps=100",
        "evaluation.every=20",
    ):
        assert code(speaking) != base, speaking


IDENTITIES = {
    "smoke": "e17714fa86e4",
    "laptop_map": "0bc1afd1183d",
    "e5 model=small": "ecd102860db0",
    "e5 model=medium": "081eb7b1e1c7",
    "e5 model=large": "4052f3c1c906",
    "li2_2025": "f2221a9fb7ba",
    "power2022": "f2a2a389fbed",
}
"""Names of runs on two shards of a CPU: what is stored under them is found only while they stay."""


@pytest.mark.slow
def test_a_twin_has_another_name_than_when_its_split_differed_from_that_of_its_real_run() -> None:
    """Until labels had a generator of their own the smoke run's twin was b960a6a3f8f9."""
    overrides = ["experiment=smoke", "task.random_labels=true", "fleet.device=cpu"]
    (config,) = compose_runs("train", [*overrides, "fleet.shards=2"]).values()
    assert identity(resolved(config))[:12] != "b960a6a3f8f9"


@pytest.mark.slow
@pytest.mark.parametrize("run", IDENTITIES)
def test_a_run_keeps_its_name(run: str) -> None:
    experiment, *chosen = run.split()
    overrides = [f"experiment={experiment}", *chosen, "fleet.device=cpu", "fleet.shards=2"]
    (config,) = compose_runs("train", [*overrides, "fleet.compile=off"]).values()
    assert identity(resolved(config))[:12] == IDENTITIES[run]


@pytest.mark.slow
def test_only_long_runs_of_models_that_gain_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(*overrides: str) -> str:
        (config,) = compose_runs(
            "train", ["fleet.device=cpu", "fleet.shards=2", *overrides]
        ).values()
        return resolved(config)["fleet"]["compile"]

    long = ["experiment=laptop_map", "horizon_steps=50000"]
    assert chosen(*long) == chosen("experiment=smoke", "fleet.compile=on") == "on"
    assert chosen("experiment=laptop_map") == chosen(*long, "model=mlp") == "off"
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert chosen(*long) == "off"


def test_a_step_is_recorded_on_cuda_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def config(**fleet: str) -> dict[str, Any]:
        made = composed("train", "experiment=smoke", "fleet.compile=off", "fleet.shards=1")
        return {**made, "fleet": {**made["fleet"], **fleet}}

    assert resolved(config(device="cpu"))["fleet"]["graphs"] == "off"
    with pytest.raises(ConfigError, match=r"`fleet\.graphs` must be off or auto on a CPU, got on"):
        resolved(config(device="cpu", graphs="on"))
    monkeypatch.setattr("observatory.launch.layout.torch_device", lambda _: "cuda")
    recorded, plain = resolved(config()), resolved(config(graphs="off"))
    assert (recorded["fleet"]["graphs"], plain["fleet"]["graphs"]) == ("on", "off")
    before = {k: v for k, v in plain["fleet"].items() if k != "graphs"}
    assert identity(plain) == identity({**plain, "fleet": before}) != identity(recorded)


@pytest.mark.parametrize(("model", "later"), [("mlp", "start"), ("transformer", "attention")])
def test_a_run_of_before_a_model_had_a_setting_keeps_its_name_and_is_built(
    model: str, later: str
) -> None:
    now = resolved(composed("train", "experiment=smoke", f"model={model}", "fleet.device=cpu"))
    before = {name: value for name, value in now["model"].items() if name != later}
    assert before.keys() < now["model"].keys()
    assert identity(now) == identity({**now, "model": before})
    assert build({**now, "model": before}).n_params == build(now).n_params
    other = {"start": "dale", "attention": "lssa"}[later]
    assert identity({**now, "model": {**before, later: other}}) != identity(now)


def with_matmul(**fleet: str) -> dict[str, Any]:
    made = composed("train", "experiment=smoke", "fleet.compile=off", "fleet.shards=1")
    return {**made, "fleet": {**made["fleet"], "device": "cpu", **fleet}}


def test_the_precision_of_products_is_part_of_the_identity() -> None:
    plain = resolved(with_matmul())
    before = {name: value for name, value in plain["fleet"].items() if name != "matmul"}
    assert identity(plain) == identity({**plain, "fleet": before})
    assert build({**plain, "fleet": before}).fleet.matmul == "full"
    rounded = resolved(with_matmul(matmul="bf16", path="generic"))
    assert identity(rounded) != identity(resolved(with_matmul(path="generic")))
    parts = build(rounded)
    assert manifest_of(rounded, parts, 64 * "0")["dtypes"]["products of a step"] == "bf16"


@pytest.mark.parametrize(
    ("fleet", "message"),
    [
        ({"matmul": "bf16"}, r"= bf16 needs fleet\.path=generic"),
        (
            {"matmul": "bf16", "path": "generic", "dtype": "float64"},
            "must be full where",
        ),
        ({"matmul": "tf32"}, "= tf32 needs a CUDA device, and this run is on a CPU"),
        ({"matmul": "fp8"}, "must be one of .*, got 'fp8'"),
    ],
)
def test_a_precision_that_cannot_be_is_refused(fleet: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"`fleet\.matmul` {message}"):
        build(resolved(with_matmul(**fleet)))


def test_a_gpu_without_tf32_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    with pytest.raises(ConfigError, match=r"capability 8\.0 or more, and cuda:1 has 7\.5"):
        check_matmul("tf32", "cuda:1")
    check_matmul("full", "cuda:1")

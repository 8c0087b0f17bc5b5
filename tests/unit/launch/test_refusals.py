"""Bad input is refused before any compute, by a message that says what, why and what to do."""

from pathlib import Path

import pytest

from observatory.cli import main as cli
from observatory.core.errors import ConfigError, StoreError
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.launch.run import launch
from observatory.mirror.settings import mlflow_settings
from observatory.store.writer import update_manifest
from observatory.sweeps.fleets import flat, with_setting
from observatory.training.build import build
from observatory.training.replicas import Config
from observatory.training.shard import tables

REFUSED = {
    "task.p=1": "`p` must be at least 2",
    "task=div task.p=15": "`p` must be prime",
    "train_fraction=1.5": "Give the fraction, not the percentage",
    "train_fraction=0.00001": "leaves one split empty",
    "optimizer.weight_decay=-1": "`weight_decay` must be finite and not negative",
    "optimizer.lr=0": "`lr` must be finite and positive",
    "optimizer.decay=some": "`optimizer.decay` must be one of",
    "optimizer.update.eps=0": "`eps` must be positive",
    "model.d_model=30": "`d_model` must be a multiple of `n_heads`",
    "model.positions=none task=sub": "must see the order of the operands",
    "+task.prime=7": "`prime` is no setting of Modular",
    "model=li2 task=sum3": "pairs of operands",
    "model.activation=tanh": "`activation` must be one of",
    "horizon_steps=2510": "`horizon_steps` must be a multiple of `evaluation.every`",
    "horizon_steps=25 probe.attention.schedule.k=50": "must not be shorter than one probe",
    "horizon_steps=0": "`horizon_steps` must be a whole number of at least 1",
    "batch_size=0": "`batch_size` must be a whole number of at least 1",
    "optimizer.weigth_decay=1 task.z=3": "`task.z` is no setting of `task`, which has",
    "fleet.probe_examples=10000 task.p=23": "must be at most 529, all examples of the task, got",
    "fleet.size=0": "`fleet.size` must be a whole number of at least 1",
    "fleet.dtype=bfloat16": "`fleet.dtype` must be one of",
    "fleet.device=tpu": "`fleet.device` must be auto, cpu or cuda",
    "fleet.path=quick": "`fleet.path` must be one of",
    "evaluation.every=0": "`evaluation.every` must be a whole number of at least 1",
    "seed=0.5": "`seed` must be a whole number",
    "+sweep.scientific.weight_decay=[]": "must hold at least one value",
    "+sweep.scientific.weight_decay=[0.1,0.1]": "twice",
    "+sweep.scientific.dropout=[0.1]": "`sweep` axes must be among",
    "event=[first99,mem]": "`event` must include",
    "probe.attention.schedule.k=0": "`k` must be at least 1",
}


@pytest.mark.slow
@pytest.mark.parametrize("overrides", REFUSED)
def test_a_setting_outside_its_rule_is_refused(overrides: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        build(resolved(compose("train", overrides.split())))
    assert REFUSED[overrides] in str(refusal.value)


COMPOSED = compose("train", ["launcher=slurm", "fleet.device=cpu"])
SPEAKING = flat(
    {
        key: value
        for key, value in COMPOSED.items()
        if key not in ("study", "results", "experiment", "fit", "sweep")
    }
)
TEXTS = {"launcher": {"partition", "account", "qos", "constraint", "gres"}}
TEXTS["mlflow"] = {"tracking_uri", "experiment", "artifacts", "prefixes"}
"""Settings that may be any text, or hold such."""


def end_to_end(config: Config) -> None:
    build(resolved(config))
    mlflow_settings(config["mlflow"], Path("results"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SPEAKING)
def test_no_setting_takes_what_is_of_another_type(name: str) -> None:
    group, _, rest = name.partition(".")
    wrongs: list[object] = [[[1]], {"a": [1]}]
    if rest.partition(".")[0] not in TEXTS.get(group, ()):
        wrongs.append("no such")
    for wrong in wrongs:
        with pytest.raises(ConfigError):
            end_to_end(with_setting(COMPOSED, name, wrong))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("experiment=no_such", "experiment/no_such"),
        ("model=no_such", "model/no_such"),
        ("no_such_key=1", "no_such_key"),
        ("optimizer.no_such=1", "no_such"),
    ],
)
def test_unknown_names_are_refused_by_name(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be composed|is no setting of") as refusal:
        compose("train", [override])
    assert said in str(refusal.value)


def test_an_arm_that_takes_settings_of_another_names_it() -> None:
    with pytest.raises(ConfigError, match=r"arms=\[transplant_embedding,permuted_embedding\]"):
        compose("train", ["arms=[permuted_embedding]"])


@pytest.mark.slow
def test_the_command_line_turns_refusals_into_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["train", "task.p=1"]) == 2
    assert cli.run(["train", "experiment=no_such"]) == 2
    assert cli.run(["trian"]) == 2
    said = capsys.readouterr().err
    assert "`p` must be at least 2" in said
    assert "plan, map, compare, sweep, formulas, train, fit, report" in said
    assert "Did you mean train?" in said


@pytest.mark.slow
def test_a_file_where_the_results_should_go_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results").write_text("")
    assert cli.run(["train", f"results={tmp_path / 'results'}"]) == 2
    assert "results" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_of_another_version_is_not_continued(tmp_path: Path) -> None:
    config = compose(
        "train",
        ["task.p=5", "horizon_steps=25", "model.d_model=8", "model.d_mlp=8", f"results={tmp_path}"],
    )
    folder = launch(config)
    update_manifest(folder, status="running", package_version="0.0.0")
    with pytest.raises(Exception, match="was begun by observatory 0"):
        launch(config)
    launch({**config, "allow_other_version": True})
    update_manifest(folder, schema_version=999)
    with pytest.raises(StoreError, match="999"):
        launch(config)


@pytest.mark.slow
def test_a_probe_that_cannot_look_is_left_out_and_said() -> None:
    parts = build(resolved(compose("train", ["model=mlp", "task.p=7"])))
    assert parts.unavailable["attention"] == "Mlp has no attn_pattern"
    assert "attention" not in parts.probes
    assert "probes/attention" not in tables(parts)
    assert "representation" in parts.probes


@pytest.mark.slow
def test_a_readout_that_starts_at_zero_is_not_taken_for_blindness() -> None:
    overrides = ["model=li2", "model.d_mlp=8", "model.zero_readout=true", "task=sub", "task.p=7"]
    build(resolved(compose("train", overrides)))


def test_the_stages_of_li2_are_looked_for_in_no_other_network() -> None:
    parts = build(resolved(compose("train", ["probe=[li2]", "task.p=7"])))
    assert parts.unavailable == {"li2": "Transformer has no onehots"}


@pytest.mark.slow
def test_an_edited_table_is_another_task(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("0,1\n1,0\n")
    config = compose(
        "train",
        [
            *("task=cayley", "task.table=null", f"task.path={table}", "horizon_steps=25"),
            *("model.d_model=8", "model.d_mlp=8", f"results={tmp_path / 'results'}"),
        ],
    )
    folder = launch(config)
    assert launch(config) == folder
    table.write_text("0,1\n0,0\n")
    with pytest.raises(StoreError, match="other examples"):
        launch(config)

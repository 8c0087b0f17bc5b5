"""What a user types: refused by its name and with the cure, or it has the effect that it says."""

from pathlib import Path

import pytest

from observatory.cli import main as cli
from observatory.core.errors import ConfigError
from observatory.core.names import check_folder, check_plain_name
from observatory.launch.compose import changed_presets, check_overrides, compose, compose_runs
from observatory.launch.overrides import without_values

REFUSED = {
    "study=lr=0.01": "`study=lr=0.01` is no override. Quote its value, for a shell: "
    "'study=\"lr=0.01\"'.",
    "no_sign": "`no_sign` is no override. Write KEY=VALUE",
    "optimizer.weigth_decay=0.3": "`optimizer.weigth_decay` is no setting of `optimizer`, "
    "which has ['weight_decay',",
    "optmizer.lr=0.3": "`optmizer` is no setting of a run, which has ['optimizer',",
    "+train_frac=0.3": "`train_frac` is no setting of a run, which has ['train_fraction',",
    "+optimizer.constrain_norm=true": "`optimizer.constrain_norm` is no setting",
    "+fleet.norm_cap=1": "`fleet.norm_cap` is no setting",
    "+mlflow.poins=3": "`mlflow.poins` is no setting of `mlflow`, which has ['points',",
    "+launcher.gpu=1": "`launcher.gpu` is no setting",
    "+store.chekpoint_every=1": "`store.chekpoint_every` is no setting of `store`",
    "+sweep.scientifc.lr=[1]": "`sweep.scientifc` is no setting of `sweep`",
    "+probe.attention.shedule=3": "`probe.attention.shedule` is no setting",
    "~probe.attention.schedule": "`probe.attention.schedule` must be given",
    "+replicas=abc": "`replicas` must be a list such as",
    "~loss": "`loss` must be given",
    "probe=null": "`probe` must name a preset, got probe=null",
    "fleet=3": "`fleet` must name a preset, got fleet=3",
    "study=a/b": "`study` must be one plain name",
    "results=": "`results` must be the path of a folder",
    "modulus=7 task=sparse_parity": "`modulus` has no effect",
    "experiment=smoke optimizer.weight_decay=0.3": "`optimizer.weight_decay` has no effect: the "
    "sweep gives every replica its own. Set `sweep.scientific.weight_decay=[0.3]`.",
}


@pytest.mark.slow
@pytest.mark.parametrize("typed", REFUSED)
def test_an_override_that_cannot_be_meant_is_refused(typed: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        compose("train", typed.split())
    assert REFUSED[typed] in str(refusal.value)


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", ".hidden", "~", "-m", "a/b", "/a", "a\\b", "a\nb", "a\0b", "é" * 61],
)
def test_a_study_has_a_plain_name(name: str) -> None:
    with pytest.raises(ConfigError, match="`study` must"):
        check_plain_name("study", name)
    for plain in ("laptop_map", "2024", "a b", "größe", "x.y-z", "a" * 120):
        check_plain_name("study", plain)


@pytest.mark.parametrize("path", ["", " ", "a\nb", "a\0b", "a" * 3000])
def test_results_are_a_folder(path: str) -> None:
    with pytest.raises(ConfigError, match="`results` must"):
        check_folder("results", path)
    for folder in ("results", "/tmp/results", "../shared"):
        check_folder("results", folder)


@pytest.mark.slow
def test_a_search_chooses_weight_decays_itself() -> None:
    with pytest.raises(ConfigError, match=r"Set `search\.low` and `search\.high`"):
        compose("sweep", ["optimizer.weight_decay=0.3"])


def test_a_component_replaces_the_one_that_was_there() -> None:
    sgd = "{_target_:observatory.optimizers.sgd.SGD,momentum:0.9,nesterov:false}"
    config = compose("train", ["optimizer=orthograd", f"optimizer.update.inner={sgd}"])
    assert config["optimizer"]["update"]["inner"] == {
        "_target_": "observatory.optimizers.sgd.SGD", "momentum": 0.9, "nesterov": False,
    }  # fmt: skip


@pytest.mark.slow
def test_an_experiment_that_changes_a_chosen_preset_says_so() -> None:
    (sentence,) = changed_presets("map", ["experiment=laptop_map", "optimizer=sgd"])
    assert sentence == (
        "experiment=laptop_map sets optimizer.lr=0.01, where optimizer=sgd has 0.3."
    )
    assert not changed_presets("map", ["experiment=laptop_map", "task=mul"])
    assert not changed_presets("map", ["experiment=laptop_map"])
    assert not changed_presets("map", ["optimizer=sgd", "optimizer.lr=0.1"])
    chosen = ["experiment=laptop_map", "optimizer=sgd", "sweep.nuisance.seed=[0]"]
    assert changed_presets("map", chosen) == [sentence]
    assert not changed_presets("map", [*chosen, "optimizer.lr=0.1"])


@pytest.mark.slow
def test_what_is_drawn_later_is_left_to_its_sweeper() -> None:
    check_overrides("train", ["optimizer.weight_decay=interval(0.1,1)", "seed=1,2"])
    with pytest.raises(ConfigError, match="`train_fraction`"):
        check_overrides("train", ["optimizer.lr=interval(0.1,1)", "train_fraction=7,0.5"])
    assert len(compose_runs("train", ["seed=1,2"])) == 2


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--cfg", "job"], ["-m"], []])
def test_bad_input_exits_with_2_and_one_line(flags: list[str], tmp_path: Path, capfd) -> None:
    assert cli.run(["train", *flags, f"results={tmp_path}", "train_fraction=7"]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "`train_fraction` must be in (0, 1), got 7" in shown.err


def test_every_secret_stands_in_a_variable_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    environment: dict[str, str] = {}
    monkeypatch.setattr("os.environ", environment)
    addresses = ["http://me:one@host", "http://me:two@host"]
    kept = list(without_values([f"ab={addresses[0]}", "study=plain", f"ba={addresses[1]}"]))
    assert list(environment.values()) == addresses
    assert kept[1] == "study=plain"
    assert [text.partition("oc.env:")[2] for text in kept[::2]] == [f"{n}}}'" for n in environment]

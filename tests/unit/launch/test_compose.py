"""One experiment may be several runs: which, and what an override does to them."""

import pytest

from observatory.core.errors import ConfigError
from observatory.launch.compose import compose, compose_runs
from observatory.training.replicas import replica_table


@pytest.mark.slow
def test_without_a_list_there_is_one_run() -> None:
    assert compose_runs("map", ["experiment=smoke"]) == {"": compose("map", ["experiment=smoke"])}


@pytest.mark.slow
def test_e5_is_ninety_replicas_in_three_runs_of_one_study() -> None:
    runs = compose_runs("map", ["experiment=e5", "batch_size=64"])
    assert list(runs) == ["model=small", "model=medium", "model=large"]
    assert [config["model"]["d_model"] for config in runs.values()] == [128, 512, 768]
    assert sum(len(replica_table(config)) for config in runs.values()) == 90
    assert {(c["study"], c["experiment"], c["batch_size"]) for c in runs.values()} == {
        ("e5", "e5", 64)
    }


@pytest.mark.slow
def test_the_runs_are_the_product_and_are_what_their_overrides_compose() -> None:
    runs = compose_runs("train", ["study=two", "seed=1,2", "optimizer.lr=0.003,0.01"])
    assert list(runs) == [
        "seed=1 optimizer.lr=0.003", "seed=1 optimizer.lr=0.01",
        "seed=2 optimizer.lr=0.003", "seed=2 optimizer.lr=0.01",
    ]  # fmt: skip
    for chosen, config in runs.items():
        assert config == compose("train", ["study=two", *chosen.split()])


@pytest.mark.slow
def test_an_override_replaces_the_list_of_its_key() -> None:
    assert list(compose_runs("map", ["experiment=e9", "model=small"])) == [
        "task=add", "task=sub", "task=mul", "task=div",
    ]  # fmt: skip
    runs = compose_runs("map", ["experiment=e5", "model=small,large", "model=medium"])
    assert {name: config["model"]["d_model"] for name, config in runs.items()} == {"": 512}


@pytest.mark.slow
def test_a_list_may_be_given_and_may_be_of_experiments_with_lists_of_their_own() -> None:
    assert list(compose_runs("map", ["experiment=e5,e7", "model=small,large"])) == [
        "experiment=e5 model=small", "experiment=e5 model=large",
        "experiment=e7 model=small task=add", "experiment=e7 model=large task=add",
    ]  # fmt: skip


@pytest.mark.slow
def test_what_cannot_be_counted_out_is_refused() -> None:
    with pytest.raises(ConfigError, match="`seed` must list its values"):
        compose_runs("map", ["seed=interval(0,1)"])
    with pytest.raises(ConfigError, match="no_such"):
        compose_runs("map", ["experiment=e5", "optimizer.no_such=1"])


@pytest.mark.slow
def test_a_folder_may_be_named_by_a_number_but_not_by_none() -> None:
    assert compose("train", ["study=2024"])["study"] == "2024"
    with pytest.raises(ConfigError, match=r"`study` must name a folder, got None"):
        compose("train", ["study=null"])

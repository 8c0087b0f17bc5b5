"""What the finite-size chain of conf/fit keeps: settings in YAML, a readable record."""

import json

import numpy as np
import pytest

from observatory.analysis.fit.settings import settings_of
from observatory.core.errors import ConfigError
from tests.made_sizes import QUICK, chain, scaled

LINKS = ("sharpening", "crossings", "susceptibility", "groups", "data_collapse")


@pytest.mark.slow
def test_the_record_can_be_read_and_holds_a_verdict_for_each_link() -> None:
    rows = scaled(np.random.default_rng(0), n_control=13, n_seeds=10)
    made = chain(**QUICK)
    record = made.estimate(rows, 0).to_json()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert (record["fit"], record["estimator"]) == (made.fit_name, made.estimator)
    assert (record["level"], record["n"], record["refused"]) == (0.95, 5 * 13 * 10, None)
    for link in LINKS:
        assert record["table"][link]["verdict"]
        assert record["table"][link]["reason"]
    assert record["extras"]["verdict"] in ("transition", "crossover", "underdetermined")
    lengths = {name.split(".")[0]: len(values) for name, values in record["curves"].items()}
    for name, values in record["curves"].items():
        assert len(values) == lengths[name.split(".")[0]], name


@pytest.mark.slow
def test_the_same_seed_gives_the_same_record() -> None:
    rows = scaled(np.random.default_rng(0), n_control=9, n_seeds=8)
    made = chain(**QUICK, zeta=0.0)
    first, again, other = (made.estimate(rows, seed).to_json() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_settings_are_those_of_the_file_and_no_others() -> None:
    assert "_target_" in settings_of("scaling", None)[1]
    with pytest.raises(ConfigError, match="no setting"):
        chain(colour=1)
    with pytest.raises(ConfigError, match="`n_null` must be a whole number of at least 19"):
        chain(n_null=2)
    with pytest.raises(ConfigError, match=r"cannot be built.*`n_steps` must be at least"):
        chain(n_steps=2)

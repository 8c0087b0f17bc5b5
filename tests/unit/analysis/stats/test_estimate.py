import json

from observatory.analysis.stats.estimate import Estimate, Parameter, refusal_record

KEYS = {
    *("fit", "estimator", "event", "horizon_steps", "horizon_epochs", "params", "level", "n"),
    *("seed", "warnings", "refused", "extras", "curves", "table"),
}
ESTIMATE = Estimate(
    fit="boundary",
    estimator="least_squares",
    event="first99",
    horizon_steps=2500,
    horizon_epochs=2500.0,
    params={"critical": Parameter(0.1, 0.01, 0.09, float("inf")), "slope": Parameter(12.0)},
    level=0.95,
    n=64,
    seed=0,
    warnings=["careful"],
    extras={"rss": float("nan"), "n_bins": 8},
)


def test_json_has_the_keys_of_the_definitions_and_no_infinity() -> None:
    record = ESTIMATE.to_json()
    assert set(record) == KEYS
    assert record["refused"] is None
    assert record["params"]["critical"] == {
        "value": 0.1,
        "se": 0.01,
        "ci_low": 0.09,
        "ci_high": None,
    }
    assert record["extras"] == {"rss": None, "n_bins": 8}
    json.dumps(record, allow_nan=False)


def test_a_refusal_has_the_same_keys_and_the_reason() -> None:
    record = refusal_record(
        fit="boundary",
        estimator="least_squares",
        event="first99",
        horizon_steps=None,
        horizon_epochs=None,
        level=0.95,
        n=8,
        seed=0,
        reason="No replica grokked.",
    )
    assert set(record) == KEYS
    assert record["refused"] == "No replica grokked."
    assert record["params"] == {}

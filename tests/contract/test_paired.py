"""What a comparison of arms keeps: readable records, refusals with a way out, honest verdicts."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory import fits
from observatory.analysis.paired.estimators.power import power_of
from observatory.cli import main as cli
from observatory.core.errors import ConfigError, FitRefusedError
from tests.unit.analysis.report.fabricate import Plan, fabricate_study


def runs(difference: float, n: int = 10, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    base = rng.normal(size=n)
    second = base + difference + rng.normal(0.0, 0.3, n)
    frame = pd.DataFrame({"seed": [*range(n)] * 2, "arm": ["a"] * n + ["b"] * n})
    return frame.assign(value=np.concatenate([base, second]))


def fit(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.run(["fit", "paired", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.slow
def test_the_record_can_be_read_and_drawn(tmp_path: Path, capsys) -> None:
    runs(2.0).rename(columns={"value": "y"}).to_csv(tmp_path / "runs.csv", index=False)
    file = tmp_path / "forest.svg"
    given = ("--value", "y", "--arm", "arm", "--pair", "seed", "--plot", file)
    code, out, err = fit(tmp_path / "runs.csv", *given, "--json", capsys=capsys)
    record = json.loads(out)
    assert (code, err) == (0, "")
    assert record["table"]["b - a"]["verdict"] == "differs"
    assert record["extras"]["columns"] == "value y, arm arm, pair seed"
    assert list(record["table"]) == ["b - a"]
    assert 'id="interval"' in file.read_text()
    code, out, _ = fit(tmp_path / "runs.csv", *given[:-2], capsys=capsys)
    assert code == 0
    assert "10 pairs, p: t" in out


def test_too_few_pairs_are_refused_with_exit_code_3(tmp_path: Path, capsys) -> None:
    runs(1.0, n=4).to_csv(tmp_path / "few.csv", index=False)
    code, out, err = fit(tmp_path / "few.csv", "--json", capsys=capsys)
    record = json.loads(out)
    assert code == 3
    assert record["refused"] in err
    assert "4 pairs, at least 5" in record["refused"]
    assert "Add runs" in record["refused"]


def test_options_of_other_fits_are_refused(tmp_path: Path, capsys) -> None:
    runs(1.0).to_csv(tmp_path / "runs.csv", index=False)
    code, _, err = fit(tmp_path / "runs.csv", "--n-bootstrap", "9", capsys=capsys)
    assert code == 2
    assert "`--n-bootstrap` is no option of `observatory fit paired`" in err


@pytest.mark.slow
def test_rates_stay_rates_beside_means() -> None:
    before, after = [0, 0, 1, 0, 0, 1, 0, 0], [1, 1, 1, 1, 1, 1, 1, 0]
    rates = pd.DataFrame({"seed": [*range(8)] * 2, "arm": ["a"] * 8 + ["b"] * 8})
    rates = rates.assign(value=[*map(float, before + after)], what="grokked")
    alone = fits.paired(rates, family="what")
    both = fits.paired(pd.concat([rates, runs(2.0).assign(what="norm")]), family="what")
    name = "grokked: b - a"
    assert alone.frame().loc[name, "p_mcnemar"] == pytest.approx(0.0625)
    assert both.frame().loc[name, "p"] == alone.frame().loc[name, "p"]
    assert both.conf_int().loc[name].tolist() == alone.conf_int().loc[name].tolist()
    assert both.verdicts.tolist() == ["undecided", "differs"]
    assert both.record["estimator"] == "t and mcnemar"
    assert any(f"where every outcome is 0 or 1 ({name})" in note for note in both.warnings)
    assert "rates: second 0.875" in str(both)
    assert "d on differences" in str(both)


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_values_whose_squares_are_no_numbers_are_compared(unit: float) -> None:
    found, plain = (fits.paired(runs(1.0).assign(value=lambda f, u=u: f["value"] * u), settings={
        "margin": 3.0 * u, "target": u}) for u in (unit, 1.0))  # fmt: skip
    tests, usual = found.frame(), plain.frame()
    for name in ("p_t", "p_wilcoxon", "p_equivalent", "d_z_low", "d_high", "pairs_target"):
        assert tests[name].tolist() == pytest.approx(usual[name].tolist(), rel=1e-8)
    for name in ("value", "sd", "ci_low", "detectable"):
        assert (tests[name] / unit).tolist() == pytest.approx(usual[name].tolist(), rel=1e-8)
    assert "d on differences" in str(found)


@pytest.mark.slow
def test_a_large_family_and_strong_effects_have_a_plan() -> None:
    found = fits.paired(runs(9.0), settings={"n_tests": 10**6, "target": 4.0}).frame().iloc[0]
    assert 4.0 < found["detectable"] / found["sd"] < 10.0
    assert found["pairs_target"] < 10
    assert power_of(1e20, 8, 0.05) == pytest.approx(power_of(4.0, 8, 0.05)) == 1.0
    with pytest.raises(ConfigError, match=r"`power` must be above 1 - level \(0\.05\), got 0\.04"):
        fits.paired(runs(1.0), settings={"power": 0.04})


@pytest.mark.slow
def test_no_chance_is_told_as_0() -> None:
    n, rng = 60, np.random.default_rng(0)
    frame = pd.DataFrame({"seed": [*range(n)] * 2, "arm": ["a"] * n + ["b"] * n})
    base = np.arange(float(n))
    frame["value"] = [*base, *(base + 1.0 + rng.normal(0.0, 1e-9, n))]
    assert "p: t < 1e-300, Wilcoxon 1.6e-11" in str(fits.paired(frame))


def test_refusals_are_sentences() -> None:
    with pytest.raises(FitRefusedError, match=r"one arm, a: .* with\. Add runs of another arm"):
        fits.paired(runs(1.0).query("arm == 'a'"))
    frame = runs(1.0, n=4)
    with pytest.raises(FitRefusedError) as told:
        fits.paired(frame.iloc[:7])
    assert str(told.value) == (
        "No contrast can be tested: b - a: rows without a partner are left out (1); "
        "b - a is left out: 3 pairs, at least 5 are needed. It still counts in the family. "
        "Add runs that share a pair."
    )


@pytest.mark.slow
def test_a_difference_is_never_absent_without_a_margin() -> None:
    same = runs(0.0, n=40)
    assert fits.paired(same).verdicts["b - a"] == "undecided"
    assert fits.paired(same, settings={"margin": 0.5}).verdicts["b - a"] == "equivalent"
    both = fits.paired(runs(0.2, n=60), settings={"margin": 0.5})
    assert both.verdicts["b - a"] == "differs by less than the margin"


@pytest.mark.slow
def test_contrasts_left_out_and_registered_tests_count_in_the_family() -> None:
    frame = pd.concat([runs(1.0).assign(wd=0.05), runs(1.0, n=3).assign(wd=0.015)])
    found = fits.paired(frame, family="wd")
    row = found.frame().loc["0.05: b - a"]
    assert row["p_holm"] == pytest.approx(2 * row["p"])
    assert any(note.startswith("0.015: b - a is left out: 3 pairs") for note in found.warnings)
    row = fits.paired(frame, family="wd", settings={"n_tests": 15}).frame().iloc[0]
    assert row["p_holm"] == pytest.approx(15 * row["p"])
    with pytest.raises(FitRefusedError, match="registered with 1 tests, the table holds 2"):
        fits.paired(frame, family="wd", settings={"n_tests": 1})


@pytest.mark.slow
def test_rows_without_a_partner_or_a_value_are_told() -> None:
    frame = runs(1.0)
    frame.loc[0, "value"] = np.nan
    found = fits.paired(frame)
    assert found.frame()["n"].tolist() == [9]
    assert found.warnings[0] == "Rows without a value are left out (1)."
    assert found.warnings[1] == "b - a: rows without a partner are left out (1)."


@pytest.mark.slow
def test_constant_differences_are_refused_and_small_families_are_told() -> None:
    frame = runs(1.0)
    frame["value"] = (frame["arm"] == "b") * 2.5
    with pytest.raises(FitRefusedError, match=r"all 10 differences are 2\.5"):
        fits.paired(frame)
    found = fits.paired(runs(1.0, n=5), settings={"test": "wilcoxon"})
    assert any("no p-value can be below" in note for note in found.warnings)


@pytest.mark.slow
def test_the_order_of_rows_and_the_unit_change_nothing() -> None:
    frame = runs(0.5)
    found = fits.paired(frame).frame().select_dtypes("number").drop(columns=["detectable"])
    shuffled = fits.paired(frame.sample(frac=1.0, random_state=1)).frame()
    assert np.allclose(shuffled[found.columns], found, rtol=1e-12, equal_nan=True)
    tiny = fits.paired(frame.assign(value=frame["value"] * 1e-7)).frame()
    for name in ("p_t", "p_wilcoxon", "p_sign_flip", "d_z_low", "d_high"):
        assert tiny[name].tolist() == pytest.approx(found[name].tolist(), rel=1e-8)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pair": "nope"}, "`pair` names the column 'nope', which is not in the table"),
        ({"reference": "z"}, r"`reference` must be one of \['a', 'b'\], got 'z'"),
        ({"settings": {"test": "z"}}, "`test` must be one of"),
        ({"settings": {"margin": -1.0}}, "`margin` must be a positive number"),
        ({"level": 1.0}, r"`level` must be in \(0, 1\)"),
        ({"settings": {"nope": 1}}, "is no setting of"),
        ({"value": "seed"}, "one thing only"),
    ],
)
def test_what_breaks_a_rule_is_refused(changes: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        fits.paired(runs(1.0), **changes)
    with pytest.raises(ConfigError, match="must be once in each arm"):
        fits.paired(pd.concat([runs(1.0), runs(1.0)]))


@pytest.mark.slow
def test_weight_decays_of_a_study_are_compared_by_seed(tmp_path: Path) -> None:
    study = fabricate_study(tmp_path / "study", Plan())
    found = fits.paired(str(study), value="first99_observed", arm="weight_decay",
                       settings={"min_pairs": 3})  # fmt: skip
    assert found.record["estimator"] == "mcnemar"
    assert len(found.params) > 1

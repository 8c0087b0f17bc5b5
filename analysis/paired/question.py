"""How arms that share pairs, such as seeds, differ, and how many pairs find an effect."""

from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack

from observatory.analysis.fit.contract import Question
from observatory.analysis.fit.options import CommonOptions

if TYPE_CHECKING:
    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.tables.open import Table


class PairedOptions(CommonOptions, total=False):
    """What a comparison of arms takes; None, or left out: as the table or conf/fit has it.

    Attributes:
        value: Column of the outcome (value; of a study, val_acc at the last look). With pair
            "parent": time, rate, retention, or a recorded signal, whose peak is meant; all of
            conf/fit/study.yaml where none is named.
        arm: Column of what is compared (arm).
        pair: Column of what the arms share (seed); of a study with arms "parent": each arm with the
            replica that it parted from, over the steps since.
        family: Column of conditions or outcomes, each compared by itself; all contrasts of the
            table are one family of tests.
        reference: The arm that the others are compared with; where none is named, every two arms.
        seed: Seed of the sign flips.
        settings: Any further setting of conf/fit/paired.yaml, by name, such as margin.
    """

    value: str | None
    arm: str | None
    pair: str | None
    family: str | None
    reference: str | None


def paired(table: "Table", **options: Unpack[PairedOptions]) -> "Fitted":
    """How arms that share pairs differ: means, or rates where the outcome is 0 or 1.

    Args:
        table: A CSV or Parquet file, the folder of a study, or "mlflow:EXPERIMENT"; in Python also
            a DataFrame or a Study. A row per pair and arm.
        options: See `PairedOptions`.

    Returns:
        A difference with its interval, tests and a verdict per contrast.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If no contrast has pairs enough that vary.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"seed": [0, 1, 2, 3, 4, 5] * 2, "arm": ["a"] * 6 + ["b"] * 6})
        >>> runs["value"] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2.1, 3.0, 3.9, 5.0, 6.1, 7.0]
        >>> found = paired(runs)
        >>> round(float(found.params["b - a"]), 3), found.verdicts["b - a"]
        (1.017, 'differs')
    """
    from observatory.analysis.fit.observed import known_options
    from observatory.analysis.fit.task import fit_rows, read_rows
    from observatory.analysis.paired.arm_records import arm_task
    from observatory.analysis.paired.arms import PARENT
    from observatory.analysis.paired.table import read_paired
    from observatory.analysis.tables.open import open_table
    from observatory.store.reader import Study

    given = known_options(options, PairedOptions)
    if given.get("pair") == PARENT:
        opened = open_table(table, given.get("tracking_uri"), given.values())
        if isinstance(opened, Study):
            return arm_task(opened, given).run()
    read = partial(read_rows, table, given, lambda opened: read_paired(opened, given))
    return fit_rows("paired", given, read)


class PairsOptions(TypedDict, total=False):
    """What a plan of pairs takes: an effect, or a difference with its sd.

    Attributes:
        effect: The effect to find: Cohen's d on paired differences.
        difference: In place of an effect: the mean of paired differences, in the value's unit.
        sd: Standard deviation of paired differences, in the same unit.
        n_tests: Tests of the family that Holm adjusts (1).
        power: Chance to find the effect; where none is given that of conf/fit/paired.yaml.
        level: Tests are at 1 - level, such as 0.95.
    """

    effect: float | None
    difference: float | None
    sd: float | None
    n_tests: int | None
    power: float | None
    level: float | None


def pairs(**options: Unpack[PairsOptions]) -> "Fitted":
    """How many pairs a paired t test needs to find an effect; it takes no table.

    Args:
        options: See `PairsOptions`.

    Returns:
        The number of pairs: one run per arm each.

    Raises:
        ConfigError: If an option breaks a rule, or neither an effect nor a difference with its sd
            is given.
        FitRefusedError: If more than ten million pairs are needed.

    Source:
        Noncentral t distribution; Holm (1979), Scand. J. Stat. 6, 65. Deviation: Holm is planned
        for at its first step, (1 - level) / n_tests, where it asks for most: it finds the effect
        at least that often, whatever comes of the other tests.

    Example:
        >>> print(pairs(effect=0.8, n_tests=15))
        27 pairs, a run per arm each: the two-sided paired t test finds
          d = 0.8 at 0.05 / 15 (the first step of Holm over 15 tests), with a chance of 0.809
    """
    from observatory.analysis.fit.observed import known_options
    from observatory.analysis.paired.plan import plan_task

    return plan_task(known_options(options, PairsOptions)).run()


QUESTIONS = (
    Question(
        ask=paired,
        summary="how arms that share seeds differ, with tests",
        examples=("paired runs.csv --value peak --arm group --pair seed --family weight_decay",),
        place=110,
        words="text:comparison_text",
        panel="section:draw_differences",
        size="section:size_of",
        figure="section_arms:figure_of",
        fit_across="groups:fit_groups",
        section_across="section_across:draw",
    ),
    Question(
        ask=pairs,
        summary="how many pairs find an effect, planned before there is a table",
        examples=(
            "pairs --effect 0.8 --n-tests 15",
            "pairs --difference 100 --sd 150 --power 0.9",
        ),
        words="text:plan_text",
    ),
)

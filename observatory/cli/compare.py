"""The verb that trains arms beside each other."""

from pathlib import Path

from observatory.cli.commands import verb
from observatory.cli.runs import reporting, takes_overrides, without_dashes


@verb(
    "observatory compare experiment=laptop_map study=elu 'arms.elu={model.activation: elu}'",
    "observatory compare experiment=laptop_map study=mlp 'arms.mlp={model: mlp}' match=parameters",
    "observatory compare experiment=smoke study=tasks 'arms.mul={task: mul}' "
    "'compare.lr_factors=[]'",
    extras=("train", "analysis"),
    explain=without_dashes,
)
@takes_overrides
def compare(overrides: tuple[str, ...], quiet: bool, config_dir: Path | None) -> int:
    """Train variants of one experiment beside it: does it move the boundary?

    The experiment is the base, an arm is it with other settings. All have the same splits, seeds
    and weight decays, and become groups of one study: its report has the ratio of their boundaries
    and of their times to grok, at each horizon, with intervals and Holm's correction.

    match=parameters, or operations, makes each model as large as the base's. Each arm's learning
    rate is set beside a third and three times of it in a study of its own, STUDY_lr.
    conf/compare.yaml has all settings. The same command again continues.
    """
    from observatory.analysis.fit.settings import classes_of
    from observatory.launch.compose import search_path
    from observatory.pipeline import run_comparison

    with classes_of(config_dir):
        given = [*search_path(config_dir), *overrides]
        report, _ = run_comparison(given, *reporting(quiet=quiet))
    print(report)
    return 0

"""The verb that searches an activation formula and tests it elsewhere."""

from pathlib import Path

from observatory.cli.commands import verb
from observatory.cli.runs import reporting, takes_overrides, without_dashes


@verb(
    "observatory formulas experiment=formulas_laptop",
    "observatory formulas experiment=laptop_map study=found 'formulas.operations=[mul,div]'",
    "observatory plan experiment=formulas_laptop                # what one formula costs",
    extras=("train", "analysis"),
    explain=without_dashes,
)
@takes_overrides
def formulas(overrides: tuple[str, ...], quiet: bool, config_dir: Path | None) -> int:
    """Search an activation formula on one task, and test it on others.

    Formulas are drawn from a grammar, batch after batch, each a fleet of the experiment's own
    replicas. The one with the shortest times is then compared on other tasks, with other seeds,
    with relu and with random formulas of its size, in studies of their own, STUDY_TASK. The paired
    test by seed, one family over all tasks, is stored in results/STUDY/transfer.json.

    conf/formulas.yaml has all settings. The same command again continues.
    """
    from observatory.analysis.fit.settings import classes_of
    from observatory.formulas import run_formulas
    from observatory.launch.compose import search_path

    with classes_of(config_dir):
        given = [*search_path(config_dir), *overrides]
        found, path = run_formulas(given, *reporting(quiet=quiet))
    print(found)
    print(path)
    return 0

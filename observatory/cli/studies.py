"""The verbs of what exists: report, figure, browse, status, retry, export, import, doctor."""

import json
import sys
from pathlib import Path

import click

from observatory.cli.commands import JSON, QUIET, option, verb
from observatory.cli.types import Folder, Names, NewFile
from observatory.core.errors import ConfigError
from observatory.core.extras import require

FOLDER = click.Path(path_type=Path)
_CONFIG_DIR = option(
    "--config-dir", type=Folder(), metavar="DIR",
    help="Folder of configurations of your own, laid out as conf/ is: their classes are trusted.",
)  # fmt: skip
_TRUST = option(
    "--trust", is_flag=True,
    help="Let settings of the study name code outside of this package, which then runs.",
)  # fmt: skip
_A_STUDY = click.argument("study", type=FOLDER, help="Folder of the study.")


@verb(
    "observatory report results/laptop_map",
    "observatory report results/laptop_map --formats pdf,png",
    "observatory report results/mlp results/lstm --out comparison.html",
    extras=("analysis",),
)
@click.argument(
    "studies", nargs=-1, required=True, type=FOLDER, metavar="STUDY ...", help="Folders of studies."
)
@option(
    "--out", type=NewFile(".html"), metavar="FILE",
    help="Page of a comparison (comparison.html).",
)  # fmt: skip
@option(
    "--formats", type=Names(single=False, known=("svg", "pdf", "png")),
    metavar="NAME,...",
    help="Also write each figure as pdf, png, or both; svg alone removes them (as they are).",
)  # fmt: skip
@_CONFIG_DIR
def report(
    studies: tuple[Path, ...],
    out: Path | None,
    formats: list[str] | None,
    config_dir: Path | None,
) -> int:
    """Build a study's report.html anew.

    From its store and fits.json; of several studies, one page that compares them, the first being
    the one that others are compared with. Figures are SVG; those that were asked for as PDF or PNG
    are written anew with the page from then on.
    """
    from observatory.analysis.fit.settings import classes_of
    from observatory.pipeline import compare_studies, rebuild_report

    with classes_of(config_dir):
        if len(studies) == 1:
            if out is not None:
                raise ConfigError("`--out` is of several studies: one has its page in its folder.")
            print(rebuild_report(studies[0], formats))
        else:
            print(compare_studies(studies, out or Path("comparison.html"), formats))
    return 0


@verb(
    "observatory figure results/laptop_map",
    "observatory figure results/laptop_map rate --width 3.4 --style mine.mplstyle --out fig1.pdf",
    extras=("analysis",),
)
@_A_STUDY
@click.argument("name", required=False, metavar="NAME", help="Name of the figure.")
@option("--width", type=float, metavar="INCHES", help="Width (that of the page).")
@option("--height", type=float, metavar="INCHES", help="Height (in proportion to the width).")
@option("--style", metavar="FILE", help="A matplotlib style sheet, laid over that of the page.")
@option(
    "--out", type=NewFile(".pdf", ".png", ".svg"), metavar="FILE",
    help="Where it is written (NAME.pdf).",
)  # fmt: skip
def figure(
    study: Path,
    name: str | None,
    width: float | None,
    height: float | None,
    style: str | None,
    out: Path | None,
) -> int:
    """Draw one figure of a study's report alone, for a paper; without a name, list them."""
    from observatory.analysis.page.save import save_picture
    from observatory.analysis.page.style import with_style
    from observatory.analysis.report.figure import figure as draw
    from observatory.analysis.report.figure import figure_names

    if name is None:
        for known, title in figure_names(study).items():
            print(f"{known:<24}{title}")
        return 0
    made = draw(study, name, width=width, height=height, style=style)
    path = out or Path(f"{name}.pdf")
    with with_style(style):
        save_picture(made, path)
    print(path)
    return 0


@verb(
    "observatory browse",
    "observatory browse results --study laptop_map --port 5055",
    "observatory browse results --tracking-uri postgresql://me@host/mlflow --once",
    extras=("mlflow",),
)
@click.argument(
    "results", type=FOLDER, default=Path("results"), help="Folder of the studies (results)."
)
@option("--study", metavar="NAME", help="Name of one study; all without it.")
@option("--host", default="127.0.0.1", metavar="ADDRESS", help="Address to bind (127.0.0.1).")
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    metavar="N",
    help="Port to bind (5000).",
)
@option("--tracking-uri", metavar="URI", help="A database or server (mlflow.db in the folder).")
@option("--once", is_flag=True, help="Bring MLflow up to date and end, without a page.")
def browse(
    results: Path, study: str | None, host: str, port: int, tracking_uri: str | None, once: bool
) -> int:
    """Open MLflow's pages on all studies.

    Mirrors the studies below a folder to MLflow first; Ctrl-C ends it.
    """
    from observatory.mirror.browse import browse as open_pages
    from observatory.mirror.settings import default_settings

    settings = default_settings(results, tracking_uri)
    return open_pages(results, host, port, study, settings, once=once)


@verb("observatory status results/laptop_map", "observatory status results/laptop_map --json")
@_A_STUDY
@JSON
def status(study: Path, as_json: bool) -> int:
    """What is done, running, queued or failed, of every run of a study."""
    from observatory.launch.status import study_status, text

    found = study_status(study)
    print(json.dumps(found, indent=2) if as_json else text(found))
    return 0


@verb(
    "observatory retry results/laptop_map",
    "observatory retry results/laptop_map --here",
    extras=("train",),
)
@_A_STUDY
@option("--here", is_flag=True, help="Train on this machine what was queued as jobs.")
@QUIET
@_TRUST
def retry(study: Path, here: bool, quiet: bool, trust: bool) -> int:
    """Train the runs of a study that failed or were interrupted.

    Each from its last checkpoint and with its own configuration. Runs that are done, or that
    another process owns, are left alone. A search is continued by its own command.
    """
    from observatory.launch.display import live
    from observatory.launch.many import retry as train_again

    say = (lambda text: None) if quiet else (lambda text: print(text, file=sys.stderr))
    for folder in train_again(study, here, None if quiet else live, say, trust=trust):
        print(folder)
    return 0


@verb(
    "observatory export results/laptop_map --author 'Ada Lovelace'",
    "observatory export results/laptop_map --out laptop_map.tar.gz",
    "observatory export results/laptop_map --out published/laptop_map    # a folder",
    "observatory export results/laptop_map --weights",
    "observatory export results/running --partial",
)
@_A_STUDY
@option(
    "--out", type=FOLDER, metavar="DIR_OR_TAR",
    help="A .tar, .tar.gz or .tgz, or a folder (NAME.tar in the present folder).",
)  # fmt: skip
@option(
    "--weights", is_flag=True,
    help="Parameters of every network that has some, as safetensors: when it left, or at the last "
    "checkpoint.",
)  # fmt: skip
@option("--partial", is_flag=True, help="Also a study whose runs are not all done.")
@option(
    "--author", multiple=True, metavar="NAME",
    help="Whom CITATION.cff names; may be given again.",
)  # fmt: skip
@_TRUST
def export(
    study: Path,
    out: Path | None,
    weights: bool,
    partial: bool,
    author: tuple[str, ...],
    trust: bool,
) -> int:
    """A study as one bundle that explains and checks itself, for others.

    Tables, settings, report, figures, environment, citation, checksums, and a README that explains
    every file and column. Nothing in it names this machine or its paths. The same study gives the
    same bytes.
    """
    from observatory.bundle.export import export_study

    if weights:  # networks are built to name what they hold
        require("train", by="`observatory export --weights`")
    given = {"weights": weights, "partial": partial, "authors": list(author), "trust": trust}
    print(export_study(study, out, **given))
    return 0


@verb(
    "observatory import laptop_map.tar",
    "observatory import published/laptop_map --results elsewhere",
    name="import",
)
@click.argument("bundle", type=FOLDER, help="What `export` wrote, a tar or a folder.")
@option(
    "--results", type=FOLDER, default=Path("results"), metavar="DIR",
    help="Folder of the studies (results).",
)  # fmt: skip
def import_(bundle: Path, results: Path) -> int:
    """A bundle as a study among your own.

    Once its checksums agree; then `report`, `fit`, `status` and `browse` work on it. A study that
    exists is never overwritten.
    """
    from observatory.bundle.unpack import import_bundle

    study = import_bundle(bundle, results)
    print(study)
    print(
        f"Pages and estimates that came with it are in {study / 'imported'}. `observatory report "
        f"{study}` makes them anew of the tables; see docs/sharing.md.",
        file=sys.stderr,
    )
    return 0


@verb("observatory doctor", "observatory doctor --json")
@click.argument(
    "results", type=FOLDER, default=Path("results"), help="Where studies will go (results)."
)
@JSON
def doctor(results: Path, as_json: bool) -> int:
    """Check this machine and installation."""
    from observatory.cli.doctor import as_json as written
    from observatory.cli.doctor import as_text, examine, healthy

    checks = examine(results)
    print(written(checks) if as_json else as_text(checks))
    return 0 if healthy(checks) else 2

"""The verb of saved networks, of one's own or of a study: probe."""

from pathlib import Path

import click

from observatory.cli.commands import option, verb
from observatory.cli.types import Names, Number
from observatory.core.errors import ConfigError
from observatory.core.extras import require


@verb(
    "observatory probe mypkg.models:make --checkpoints 'ckpts/*.safetensors' --batch data.py:batch",
    "observatory probe hf:outputs/run1 --checkpoints 'outputs/run1/checkpoint-*' --batch b.pt",
    "observatory probe results/kept --probe curvature,kernel_drift",
)
@click.argument(
    "factory",
    metavar="FACTORY",
    help="MODULE:NAME that makes the network, hf:FOLDER, or the folder of a study.",
)
@option("--checkpoints", metavar="GLOB", help="Which files or folders, in quotes.")
@option(
    "--probe",
    "probes",
    type=Names(single=False),
    metavar="NAME,...",
    help="Of a study: probes of conf/probe, or `mechanism` or `forensic`, at its kept states.",
)
@option(
    "--batch", metavar="FILE:NAME",
    help="What the model is called with: FILE.py:NAME, or a .pt file as a run keeps it.",
)  # fmt: skip
@option("--out", type=click.Path(path_type=Path), metavar="DIR",
        help="Folder of the study (results/probed).")  # fmt: skip
@option(
    "--steps", type=Names(single=False), metavar="N,...",
    help="Updates of each checkpoint, in the order of their names (as their names say).",
)  # fmt: skip
@option(
    "--since", type=Number(whole=True), metavar="N",
    help="Of a study: compare with the states kept at this step (the start).",
)  # fmt: skip
@option(
    "--low-precision", type=Names(single=False), metavar="NAME,...",
    help="Ask what these of conf/low_precision/transforms.yaml would do, or `default`.",
)  # fmt: skip
@option(
    "--labels",
    metavar="FILE:NAME",
    help="For the change of loss: labels of the batch, or next_token (errors alone).",
)
@option(
    "--tokenizer", type=click.Path(path_type=Path), metavar="PATH",
    help="To name the tokens at the maxima: a tokenizer.json of Hugging Face, or its folder.",
)  # fmt: skip
@option("--trust", is_flag=True, help="Let settings of the study name code outside of this "
        "package, which then runs.")  # fmt: skip
def probe(
    factory: str,
    checkpoints: str | None,
    probes: list[str] | None,
    batch: str | None,
    out: Path | None,
    steps: list[str] | None,
    since: int | None,
    low_precision: list[str] | None,
    labels: str | None,
    tokenizer: Path | None,
    trust: bool,
) -> int:
    """Look at saved checkpoints of a model of your own, or at kept states of a study.

    Safetensors, folders of Hugging Face, checkpoints of Lightning and what torch.save keeps of a
    state_dict; pickled objects are refused. The numbers are those that watching the training would
    have found. FACTORY and --batch name code of yours, which runs.

    Of a study, the probes of --probe look at every state that it kept, or at those of --steps; the
    tables lie in its folder `reprobed`, and `observatory report` draws them.
    """
    if steps is not None and not all(step.isdigit() for step in steps):
        raise ConfigError(f"`--steps` must be whole numbers, got {steps}.")
    counts = None if steps is None else [int(step) for step in steps]
    if probes is not None:
        of_files = {
            "--checkpoints": checkpoints, "--batch": batch, "--out": out, "--labels": labels,
            "--low-precision": low_precision, "--tokenizer": tokenizer,
        }  # fmt: skip
        if wrong := [f"`{name}`" for name, value in of_files.items() if value is not None]:
            raise ConfigError(
                f"{' and '.join(wrong)} must go with a model of your own, and --probe looks at a "
                "study. Leave out one or the other."
            )
        return _of_study(Path(factory), probes, counts, since, trust=trust)
    if since is not None:
        raise ConfigError(f"`--since` must go with --probe of a study, got {since} without.")
    if trust:
        raise ConfigError("`--trust` must go with --probe of a study, got it without.")
    for name, value in (("--checkpoints", checkpoints), ("--batch", batch)):
        if value is None:
            raise ConfigError(f"`{name}` must be given: {_NEEDED[name]}")
    asked = (low_precision, labels)
    folder = out or Path("results/probed")
    return _of_files(factory, str(checkpoints), str(batch), folder, counts, asked, tokenizer)


_NEEDED = {
    "--checkpoints": "Which files or folders, in quotes; or --probe for a study.",
    "--batch": "What the model is called with: FILE.py:NAME, or a .pt file as a run keeps it.",
}


def _of_study(
    study: Path, probes: list[str], steps: list[int] | None, since: int | None, *, trust: bool
) -> int:
    """At the kept states of a study."""
    require("train", by="`observatory probe --probe`")
    from observatory.launch.reprobe import reprobe

    for line in reprobe(study, probes, steps, trust=trust, since=since):
        print(line)
    return 0


def _of_files(
    factory: str,
    checkpoints: str,
    batch: str,
    out: Path,
    counts: list[int] | None,
    low_precision: tuple[list[str] | None, str | None],
    tokenizer: Path | None,
) -> int:
    """At files of a model of one's own."""
    import glob

    from observatory.watch.online.checkpoints import (
        asked_of,
        made_batch,
        made_model,
        probe_checkpoints,
    )
    from observatory.watch.tokens import read_tokenizer

    paths = [Path(path) for path in sorted(glob.glob(checkpoints))]
    if not paths:
        raise ConfigError(f"`--checkpoints` must match a file or a folder, got {checkpoints!r}.")
    asked = asked_of(*low_precision)
    decode = None if tokenizer is None else read_tokenizer(tokenizer)
    run = probe_checkpoints(
        made_model(factory), paths, made_batch(batch), out, steps=counts, tokenizer=decode,
        low_precision=asked,
    )  # fmt: skip
    print(run.folder)
    return 0

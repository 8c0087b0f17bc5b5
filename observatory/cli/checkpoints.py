"""The verb of a model of one's own: probe."""

from pathlib import Path

import click

from observatory.cli.commands import option, verb
from observatory.cli.types import Names
from observatory.core.errors import ConfigError


@verb(
    "observatory probe mypkg.models:make --checkpoints 'ckpts/*.safetensors' --batch data.py:batch",
    "observatory probe hf:outputs/run1 --checkpoints 'outputs/run1/checkpoint-*' --batch b.pt",
)
@click.argument(
    "factory", metavar="FACTORY", help="MODULE:NAME that makes the network, or hf:FOLDER."
)
@option("--checkpoints", required=True, metavar="GLOB", help="Which files or folders, in quotes.")
@option(
    "--batch", required=True, metavar="FILE:NAME",
    help="What the model is called with: FILE.py:NAME, or a .pt file as a run keeps it.",
)  # fmt: skip
@option("--out", type=click.Path(path_type=Path), default=Path("results/probed"), metavar="DIR",
        help="Folder of the study (results/probed).")  # fmt: skip
@option(
    "--steps", type=Names(single=False), metavar="N,...",
    help="Updates of each checkpoint, in the order of their names (as their names say).",
)  # fmt: skip
@option(
    "--low-precision", type=Names(single=False), metavar="NAME,...",
    help="Ask what these of conf/low_precision/transforms.yaml would do, or `default`.",
)  # fmt: skip
@option(
    "--labels", metavar="FILE:NAME",
    help="For the change of loss: labels of the batch, or next_token (errors alone).",
)  # fmt: skip
def probe(
    factory: str,
    checkpoints: str,
    batch: str,
    out: Path,
    steps: list[str] | None,
    low_precision: list[str] | None,
    labels: str | None,
) -> int:
    """Look at saved checkpoints of a model of your own.

    Safetensors, folders of Hugging Face, checkpoints of Lightning and what torch.save keeps of a
    state_dict; pickled objects are refused. The numbers are those that watching the training would
    have found. FACTORY and --batch name code of yours, which runs.
    """
    import glob

    from observatory.watch.online.checkpoints import (
        asked_of,
        made_batch,
        made_model,
        probe_checkpoints,
    )

    paths = [Path(path) for path in sorted(glob.glob(checkpoints))]
    if not paths:
        raise ConfigError(f"`--checkpoints` must match a file or a folder, got {checkpoints!r}.")
    if steps is not None and not all(step.isdigit() for step in steps):
        raise ConfigError(f"`--steps` must be whole numbers, got {steps}.")
    counts = None if steps is None else [int(step) for step in steps]
    asked = asked_of(low_precision, labels)
    run = probe_checkpoints(
        made_model(factory), paths, made_batch(batch), out, steps=counts, low_precision=asked
    )
    print(run.folder)
    return 0

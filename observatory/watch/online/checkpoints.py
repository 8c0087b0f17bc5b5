"""Saved checkpoints of a user's own model, looked at as if it had been watched while it trained."""

import importlib.util
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from observatory.core.errors import ConfigError
from observatory.core.schedule import Every
from observatory.store.identity import CHECKPOINTS
from observatory.store.reader import Run
from observatory.watch.instrument import Instrument
from observatory.watch.low_precision.series import TABLE, LowPrecisionLooks
from observatory.watch.online.batch import host_copy, moved
from observatory.watch.online.due import FromStepsOn
from observatory.watch.online.hugging_face_folder import model_of
from observatory.watch.online.record import RunRecord
from observatory.watch.online.saved import load_checkpoint, step_of
from observatory.watch.reading.forward import unwrapped
from observatory.watch.tables import PROBES


def probe_checkpoints(
    model: nn.Module,
    checkpoints: Sequence[Path],
    batch: Any,
    out: Path | str,
    *,
    steps: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    probes: Collection[str] = PROBES,
    low_precision: LowPrecisionLooks | None = None,
    **options: Any,
) -> Run:
    """Look at every checkpoint of a training, into a run of a study.

    The numbers are those that `Observe` would have found, bit for bit, on the same machine. A
    second call replaces the first one's.

    Args:
        model: One network, into which the weights of each are written in turn.
        checkpoints: Files or folders, in any order.
        batch: What the model is called with at every look.
        out: Folder of the study.
        steps: Optimizer updates of each checkpoint; None: as their names say.
        settings: Hyperparameters of the training, as of `Observe.begin`.
        probes: What is measured.
        low_precision: Whether and how it is asked what low precision would do, as of `Observe`.
        options: Of the `Instrument`.

    Raises:
        ConfigError: If there is no checkpoint, or their steps are not known or not distinct.
        StoreError: If one cannot be read, or holds no weights of this model.
    """
    known = [step_of(path) for path in checkpoints] if steps is None else list(steps)
    if not checkpoints or len(known) != len(checkpoints) or len(set(known)) != len(known):
        raise ConfigError(
            f"`checkpoints` must be one or more, each of its own step, got {len(checkpoints)} with "
            f"the steps {known}. Give `--steps`, or another pattern."
        )
    network, kept = unwrapped(model), host_copy(batch)
    about: dict[str, Any] = {"every": f"{len(known)} checkpoints", "budget": None}
    about["probes"] = list(probes)
    if low_precision is not None:
        about[TABLE] = low_precision.about()
    asked = None if low_precision is None else FromStepsOn(low_precision.schedule, Every(1))
    plain = {"source": CHECKPOINTS, **(settings or {})}
    record = RunRecord(Path(out), network, plain, kept, {}, about, 0, max(known), None, anew=True)
    try:
        device = next((p.device for p in network.parameters()), torch.device("cpu"))
        looks: list[Instrument] = []
        for step, path in sorted(zip(known, checkpoints, strict=True)):
            load_checkpoint(network, path)
            names = not looks
            looks = looks or [Instrument(model, moved(kept, device), **options)]
            snapshot = looks[0].look(probes)
            if low_precision is not None and asked is not None and asked.now(step):
                table = low_precision.table(network, looks[0].batch, options.get("forward"))
                snapshot.tables[TABLE] = table
            record.look(step, snapshot, names=names)
        return record.close(max(known), spent_s=0.0)
    finally:
        if not record.released:
            record.release()


def named_object(text: str) -> Any:
    """What `package.module:name` or `file.py:name` names; the code of the module is run.

    Raises:
        ConfigError: If there is no such module or name.
    """
    where, _, name = text.rpartition(":")
    if not where or not name:
        raise ConfigError(f"`{text}` must be MODULE:NAME or FILE.py:NAME, as in data.py:batch.")
    if where.endswith(".pt"):
        raise ConfigError(f"`{where}` holds one batch: give it without `:{name}`.")
    if where.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(where).stem, where)
        if spec is None or spec.loader is None or not Path(where).is_file():
            raise ConfigError(f"`{where}` must be a file of Python. There is none of this name.")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        if "" not in sys.path:
            sys.path.insert(0, "")
        try:
            module = import_module(where)
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"`{where}` must be a module that can be imported: {error}"
            ) from error
    if not hasattr(module, name):
        raise ConfigError(f"`{where}` must hold `{name}`. It has no such name.")
    return getattr(module, name)


def made_model(text: str) -> nn.Module:
    """The network of a factory, `MODULE:NAME`, or of a folder of Hugging Face, `hf:FOLDER`.

    Raises:
        ConfigError: If it makes none.
    """
    if text.startswith("hf:"):
        return model_of(Path(text.removeprefix("hf:")))
    found = named_object(text)
    model = found if isinstance(found, nn.Module) else found()
    if not isinstance(model, nn.Module):
        raise ConfigError(f"`{text}` must give a torch.nn.Module, got {type(model).__name__}.")
    return model


def made_batch(text: str) -> Any:
    """A batch: `FILE.py:NAME`, a value or a function of none; or a .pt file, as a run keeps it."""
    if text.endswith(".pt"):
        return torch.load(text, map_location="cpu", weights_only=True)
    found = named_object(text)
    return found() if callable(found) else found


def asked_of(names: Sequence[str] | None, labels: str | None) -> LowPrecisionLooks | None:
    """What the options of a verb ask of low precision, at every checkpoint; None: nothing.

    Args:
        names: Of transforms; ["default"] for those of the configuration.
        labels: "next_token", or `FILE.py:NAME` of a tensor; None: errors alone.

    Raises:
        ConfigError: If there are labels alone, or they are no tensor.
    """
    if names is None:
        if labels is not None:
            raise ConfigError("`--labels` must come with `--low-precision`. Give both.")
        return None
    chosen = None if list(names) == ["default"] else tuple(names)
    if labels is None or labels == "next_token":
        return LowPrecisionLooks(every=1, labels=labels, transforms=chosen)
    given = made_batch(labels)
    if not isinstance(given, Tensor):
        raise ConfigError(f"`--labels` must name a tensor, got {type(given).__name__}.")
    return LowPrecisionLooks(every=1, labels=given, transforms=chosen)

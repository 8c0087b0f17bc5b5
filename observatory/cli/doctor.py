"""What of this machine and environment would stand in the way of a run, and what to do about it."""

import fcntl
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from observatory.core.extras import EXTRAS, missing

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

State = Literal["ok", "info", "warn", "fail"]

_GB_PER_PROCESS = 0.6  # a worker after its imports, with some room for its replicas
_TELEMETRY_SWITCHES = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")
_OPTIONAL_PROGRAMS = {
    "chromium": "the browser tests",
    "sbatch": "runs on SLURM",
    "psql": "an MLflow database on PostgreSQL",
}


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str  # what was looked at
    # "ok"; "info" judges nothing; with "warn" runs work, but see the advice; with "fail" they will
    # not
    state: State
    found: str  # what is there
    advice: str = ""  # what to do, empty where nothing needs doing


def examine(results: Path) -> list[Check]:
    """Look at everything that a run needs.

    Imports torch, which takes seconds, and leaves nothing behind.

    Args:
        results: The folder that studies are to be written to; it need not exist.

    Example:
        >>> {check.name for check in examine(Path("results"))} >= {"python", "cuda", "results"}
        True
    """
    return [
        *_packages(),
        _extras(),
        *_sweeper(),
        _accelerator(),
        *_machine(),
        _threads(),
        *_folder(results),
        _telemetry(),
        *_programs(),
    ]


def healthy(checks: list[Check]) -> bool:
    """Whether nothing failed."""
    return all(check.state != "fail" for check in checks)


def as_text(checks: list[Check]) -> str:
    """One line per check, and one more where something is to be done.

    Example:
        >>> print(as_text([Check("disk", "warn", "0.5 GB free", "Free some space.")]))
        warn  disk  0.5 GB free
              -> Free some space.
    """
    width = max(len(check.name) for check in checks) + 2
    lines: list[str] = []
    for check in checks:
        lines.append(f"{check.state:<6}{check.name:<{width}}{check.found}")
        if check.advice:
            lines.append(f"      -> {check.advice}")
    return "\n".join(lines)


def as_json(checks: list[Check]) -> str:
    """The same for programs: `{"healthy": bool, "checks": [{name, state, found, advice}, ...]}`."""
    return json.dumps({"healthy": healthy(checks), "checks": [asdict(c) for c in checks]}, indent=2)


def _packages() -> Iterator[Check]:
    """Python and what we require, against the declared ranges; of the extras only what is off."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    try:
        declared = metadata.metadata("observatory")
    except metadata.PackageNotFoundError:
        yield Check(
            "observatory", "warn", "not installed: no ranges to check", "Run `make install`."
        )
        return
    python = ".".join(map(str, sys.version_info[:3]))
    yield _version("python", python, SpecifierSet(declared["Requires-Python"]))
    for line in metadata.requires("observatory") or []:
        requirement = Requirement(line)
        extra = requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            if not extra:
                advice = f"Run `make install`; {requirement.specifier} is needed."
                yield Check(requirement.name, "fail", "not installed", advice)
            continue
        check = _version(requirement.name, found, requirement.specifier)
        if not extra or check.state != "ok":
            yield check


def _extras() -> Check:
    """Which extras are installed, and how to get the others."""
    absent = [name for name in EXTRAS if missing(name)]
    found = ", ".join(name for name in EXTRAS if name not in absent) or "none"
    advice = f"Where you need them: pip install 'observatory[{','.join(absent)}]'"
    return Check("extras", "info", found, advice if absent else "")


def _version(name: str, found: str, wanted: "SpecifierSet") -> Check:
    if wanted.contains(found, prereleases=True):
        return Check(name, "ok", found)
    advice = f"Tested is {wanted}. `make clean install` restores the pinned set."
    return Check(name, "warn", found, advice)


def _sweeper() -> Iterator[Check]:
    """hydra-optuna-sweeper, whose stable release makes pip replace Optuna 5 by 2.10 unasked."""
    try:
        found = metadata.version("hydra-optuna-sweeper")
    except metadata.PackageNotFoundError:
        return
    advice = (
        "It downgrades Optuna: `pip uninstall hydra-optuna-sweeper`, then `make clean install`."
    )
    yield Check("hydra-optuna-sweeper", "fail", found, advice)


def _accelerator() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("cuda", "info", f"none; torch {torch.__version__} runs on the CPU")
    device = torch.cuda.get_device_properties(0)
    found = f"{torch.cuda.device_count()} x {device.name}, {device.total_memory / 1e9:.0f} GB each"
    return Check("cuda", "ok", found)


def _machine() -> Iterator[Check]:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    yield Check("cores", "info", f"{cores} usable")
    if missing("train"):
        return  # nothing will be trained here, and what measures memory may be missing
    import psutil

    free = psutil.virtual_memory().available / 1e9
    needed = _GB_PER_PROCESS * (cores + 1)
    enough = free >= needed
    advice = f"One process per core takes about {needed:.1f} GB. Set fewer `fleet.shards`."
    yield Check(
        "memory", "ok" if enough else "warn", f"{free:.1f} GB free", "" if enough else advice
    )


def _threads() -> Check:
    found = os.environ.get("OMP_NUM_THREADS", "unset")
    return Check("threads", "info", f"OMP_NUM_THREADS {found}; every worker takes one thread")


def _folder(results: Path) -> Iterator[Check]:
    """Whether `results`, or what exists of the path to it, takes files and locks."""
    folder = next(path for path in (results, *results.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        advice = "Give results=DIR, a folder that you may write to, on a file system with locks."
        yield Check("results", "fail", f"{results}: {error.strerror}", advice)
        return
    yield Check("results", "ok", f"{results} takes files and locks")
    free = shutil.disk_usage(folder).free / 1e9
    low = free < 1
    advice = "Free some space, or give results=DIR on another disk."
    yield Check("disk", "warn" if low else "ok", f"{free:.1f} GB free", advice if low else "")


def _telemetry() -> Check:
    if any(os.environ.get(name, "").lower() in {"1", "true"} for name in _TELEMETRY_SWITCHES):
        return Check("mlflow telemetry", "ok", "off")
    advice = "Set MLFLOW_DISABLE_TELEMETRY=true before your own scripts import mlflow."
    return Check("mlflow telemetry", "info", "on, except in our own commands", advice)


def _programs() -> Iterator[Check]:
    for program, purpose in _OPTIONAL_PROGRAMS.items():
        found = shutil.which(program) or f"not found; needed only for {purpose}"
        yield Check(program, "info", found)

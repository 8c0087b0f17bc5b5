"""Where a run came from: code, versions, machine."""

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import observatory
from observatory.core.processes import usable_cores

_PACKAGES = (
    "torch",
    "lightning",
    "numpy",
    "scipy",
    "statsmodels",
    "pandas",
    "pyarrow",
    "hydra-core",
    "omegaconf",
    "optuna",
    "mlflow",
    "matplotlib",
    "jaxtyping",
)


def versions() -> dict[str, str]:
    """Versions of Python and of every package that can change a number or a picture."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def code_state() -> tuple[dict[str, object], str]:
    """Commit and dirtiness of the checkout that is run, and its diff; nulls outside git."""
    root = Path(observatory.__file__).resolve().parents[1]

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *arguments],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None

    top = git("rev-parse", "--show-toplevel")
    commit = git("rev-parse", "HEAD")
    if top is None or commit is None or Path(top.strip()) != root:
        return {"commit": None, "dirty": None}, ""
    status = git("status", "--porcelain") or ""
    return {"commit": commit.strip(), "dirty": bool(status.strip())}, git("diff", "HEAD") or ""


def machine(device: str) -> dict[str, object]:
    """Host, processor and accelerator."""
    import torch

    return {
        "host": platform.node(),
        "platform": platform.platform(),
        "cpu": _processor(),
        "cores": usable_cores(),
        "device": torch.cuda.get_device_name() if _is_here(device) else device,
    }


def _is_here(device: str) -> bool:
    import torch

    return device.startswith("cuda") and torch.cuda.is_available()


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()

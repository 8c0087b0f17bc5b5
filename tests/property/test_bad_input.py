"""Two hundred bad configurations and two hundred bad bundles: each refused, in time, by a sentence.

What is changed, and to what, is drawn with a fixed seed. A refusal is an `ObservatoryError`; any
other error is a traceback that a user would see. Planted code leaves a mark, and there is none.
"""

import hashlib
import io
import json
import math
import random
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from observatory.bundle.export import export_study
from observatory.bundle.unpack import import_bundle
from observatory.cli import main as cli
from observatory.core.errors import ConfigError, ObservatoryError
from observatory.launch.compose import compose, ready
from observatory.launch.layout import resolved
from observatory.launch.status import study_status, text
from observatory.launch.trust import check_trusted
from observatory.pipeline import retry
from observatory.store.files import read_json, write_json
from observatory.store.reader import Study
from observatory.training.build import build
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

CPU_S = 2.0
"""Most CPU seconds of a refusal, beside the start of the program."""
TINY = ["task.p=5", "model.d_model=8", "model.d_mlp=8", "model.n_heads=2", "fleet.shards=1"]
HYDRA = OmegaConf.create({"runtime": {"choices": {}}, "overrides": {"task": []}})
BAD_VALUES: tuple[Any, ...] = (
    {"a": 1}, [[1]], "no such", -7, math.nan, math.inf, -math.inf, 10**30, "", "\0", [], {}, -0.5,
)  # fmt: skip


@contextmanager
def in_time() -> Iterator[None]:
    """Assert that the block takes little CPU time."""
    began = time.process_time()
    yield
    assert time.process_time() - began < CPU_S


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every plain value of nested settings, with its place."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, node


def parent(node: Any, path: tuple[Any, ...]) -> Any:
    """What holds the value at a place."""
    for key in path[:-1]:
        node = node[key]
    return node


FREE = ("study", "results", "experiment", "fit", "mlflow", "launcher", "hydra")
"""Texts of any kind, and groups that are checked by who uses them."""


def bad_configs(base: dict[str, Any], n: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Configurations with one setting too many, too few or of a kind that it cannot be."""
    rng = random.Random(0)
    places = [path for path, _ in leaves(base) if path[0] not in FREE]
    for _ in range(n):
        config, path = deepcopy(base), rng.choice(places)
        holder, kind = parent(config, path), rng.choice(("unknown", "missing", "value", "value"))
        if kind == "unknown":
            holder[f"{path[-1]}x"] = 1
        elif kind == "missing" and path[-1] not in ("final_weights", "random_labels"):
            del holder[path[-1]]
        else:
            kind = "value"
            holder[path[-1]] = rng.choice(BAD_VALUES)
        yield f"{kind} {'.'.join(map(str, path))} = {holder.get(path[-1])!r}", config


def test_bad_configurations_are_refused() -> None:
    base = compose("train", TINY)
    accepted: list[str] = []
    for what, config in bad_configs(base, 160):
        with in_time():
            try:
                build(resolved(ready(OmegaConf.create(config), HYDRA)))
                accepted.append(what)
            except ConfigError as error:
                assert "`" in str(error), what
            except Exception as error:
                raise AssertionError(f"{what}: {error!r}") from error
    assert accepted == []

"""Two hundred bad configurations and two hundred bad bundles: each refused by a sentence.

What is changed, and to what, is drawn with a fixed seed. A refusal is an `ObservatoryError`; any
other error is a traceback that a user would see. Planted code leaves a mark, and there is none.
"""

import gzip
import hashlib
import io
import json
import math
import random
import tarfile
from collections.abc import Iterator
from contextlib import suppress
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
from observatory.launch.many import retry
from observatory.mirror.settings import mlflow_settings
from observatory.training.build import build
from observatory.training.check import check_settings
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

TINY = ["task.p=5", "model.d_model=8", "model.d_mlp=8", "model.n_heads=2", "fleet.shards=1"]
HYDRA = OmegaConf.create({"runtime": {"choices": {}}, "overrides": {"task": []}})
BAD_VALUES: tuple[Any, ...] = (
    {"a": 1}, [[1]], "no such", -7, math.nan, math.inf, -math.inf, 10**30, "", "\0", [], {}, -0.5,
)  # fmt: skip


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
            # any size of the stack, number of looks or positive eps will do
            fine = [] if path[-1] in ("steps", "events") else None  # no state need be kept
            large = path[-1] in ("eps", "size", "persistence", "probe_buffer", "most_mb", "modulus")
            bad = [v for v in BAD_VALUES if v != fine and not (large and v == 10**30)]
            holder[path[-1]] = rng.choice(bad)
        yield f"{kind} {'.'.join(map(str, path))} = {holder.get(path[-1])!r}", config


@pytest.mark.slow
def test_bad_configurations_are_refused() -> None:
    base = compose("train", TINY)
    accepted: list[str] = []
    for what, config in bad_configs(base, 176):
        try:
            build(resolved(ready(OmegaConf.create(config), HYDRA)))
            accepted.append(what)
        except ConfigError as error:
            accepted += [f"{what}: {error}"] if "`" not in str(error) else []
    assert accepted == []


TYPED = [
    *("+optimizer.weigth_decay=0.3", "study=lr=0.01", "nothing", "task=none", "task=[add,mul]"),
    *("task=null", "~task", "task.p=p", "study=..", f"study={'a' * 300}", "study='a\tb'"),
    *("results=", f"results={'a/' * 2000}", "seed=1e20", "seed=-1", "fleet.threads=100000"),
    *("+replicas=abc", "+replicas=[]", "probe=null", "event=[]", "~loss", "sweep=null"),
    *("hydra.x=1", "seed=(3"),
]
"""What a user may type; each alone."""


@pytest.mark.slow
@pytest.mark.parametrize("typed", TYPED, ids=lambda typed: typed[:40])
def test_what_is_typed_wrongly_is_refused_in_one_line(typed: str, tmp_path: Path, capfd) -> None:
    assert cli.run(["train", f"results={tmp_path}", *TINY, *typed.split(" ")]) == 2
    shown = capfd.readouterr()
    assert shown.err.startswith("observatory: ")
    assert shown.err.count("\n") == 1, shown.err
    assert not list(tmp_path.iterdir())


RUN = "runs/0123456789ab"
MANIFEST = f"{RUN}/manifest.json"
REQUIRED = (
    *("run_id", "identity", "study", "status", "created", "command", "config", "package_version"),
    *("versions", "machine", "threads", "dtypes", "task", "model", "loss", "groups", "matrices"),
    *("steps_per_epoch", "horizon_steps", "fleet", "tables", "git", "schema_version"),
)
"""Entries of a manifest that must be there, and of their type."""
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of a good bundle, by name."""
    plan = Plan(
        study="small", weight_decays=(0.5,), n_seeds=1, horizon=100, probes=("weight_norm",)
    )
    study = fabricate_study(tmp_path_factory.mktemp("results"), plan)
    bundle = export_study(study, study.parent / "bundle")
    found = {p.relative_to(bundle).as_posix(): p for p in bundle.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in found.items()}


def summed(files: Files) -> Files:
    """With sums that fit, as one who changes files on purpose would write."""
    rest = {name: content for name, content in files.items() if name != "SHA256SUMS"}
    lines = [f"{hashlib.sha256(c).hexdigest()}  {n}\n" for n, c in sorted(rest.items())]
    return {**rest, "SHA256SUMS": "".join(lines).encode()}


def packed(files: Files, top: str = "small") -> bytes:
    """A compressed tar of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def with_json(files: Files, name: str, change: Any) -> bytes:
    """A bundle of which a JSON file was changed in place by a function."""
    values = json.loads(files[name])
    change(values)
    return packed(summed({**files, name: json.dumps(values).encode()}))


def bad_bundles(files: Files, mark: Path, n: int) -> Iterator[tuple[str, bytes]]:
    """Bundles that no `export` wrote, of ten kinds in turn."""
    rng = random.Random(1)
    whole, names = packed(files), sorted(files)
    manifest = json.loads(files[MANIFEST])
    inner = [(e, k) for e in ("task", "model", "loss", "fleet", "dtypes") for k in manifest[e]]
    for number in range(n):
        name = rng.choice([each for each in names if each != "SHA256SUMS"])
        match number % 10:
            case 0:
                entry = rng.choice(REQUIRED)
                yield f"lacks {entry}", with_json(files, MANIFEST, lambda m, e=entry: m.pop(e))
            case 1:
                entry, bad = rng.choice(REQUIRED), rng.choice((math.nan, None, {"a": {}}, [[1]]))
                yield (
                    f"{entry}={bad}",
                    with_json(files, MANIFEST, lambda m, e=entry, b=bad: m.__setitem__(e, b)),
                )
            case 2:
                entry, key = rng.choice(inner)
                yield (
                    f"{entry}.{key}",
                    with_json(
                        files, MANIFEST, lambda m, e=entry, k=key: m[e].__setitem__(k, {"a": [1]})
                    ),
                )
            case 3:
                cut = rng.randrange(1, len(whole) - 20)
                yield f"cut at {cut}", whole[:cut]
            case 4:
                at = rng.randrange(20, len(whole) - 8)
                yield f"byte {at}", whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]
            case 5:
                junk = rng.randbytes(rng.randrange(1, 400))
                yield f"junk in {name}", packed({**files, name: junk})
            case 6:
                stranger = rng.choice(("shards/0/checkpoint.pt", "a.py", "../../x", "jobs/1.pkl"))
                yield stranger, packed(summed({**files, f"{RUN}/{stranger}": b"x"}))
            case 7:
                deep = rng.choice((b"[" * 10**5, b'{"a":' * 10**5, b"", b"\xff\xfe", b"null", b"7"))
                about = rng.choice((MANIFEST, "bundle.json"))
                yield f"{about} {deep[:4]!r}", packed(summed({**files, about: deep}))
            case 8:
                path = rng.choice(("../a", "a/b", "/a", "..", "", "\n", "a" * 400, ".a"))
                yield (
                    f"study {path[:9]!r}",
                    with_json(files, "bundle.json", lambda m, p=path: m.__setitem__("study", p)),
                )
            case _:
                yield (
                    f"code {number}",
                    with_json(files, MANIFEST, lambda m, n=number: plant(m, mark, n)),
                )


def plant(manifest: dict[str, Any], mark: Path, number: int) -> None:
    """A call that leaves a mark, in place of one of the run's components."""
    touch = {"_target_": "os.mkdir", "path": str(mark)}
    config = manifest["config"]
    calls: list[Any] = [touch, {**config["task"], "x": touch}, {**config["task"], "x": [[touch]]}]
    place = ("task", "model", "loss")[number % 3]
    config[place] = calls[number % len(calls)]
    manifest["status"] = "failed"


@pytest.mark.slow
def test_bad_bundles_are_refused_and_run_nothing(files: Files, tmp_path: Path) -> None:
    mark, bundle = tmp_path / "mark", tmp_path / "bad.tar.gz"
    bundle.write_bytes(packed(files))
    assert import_bundle(bundle, tmp_path / "good").name == "small"
    accepted: list[str] = []
    for number, (what, content) in enumerate(bad_bundles(files, mark, 200)):
        bundle.write_bytes(content)
        results = tmp_path / str(number)
        try:
            study = import_bundle(bundle, results)
            if not what.startswith("code"):
                accepted.append(what)
            retry(study, False, None, print)  # what names code is data, until it is built
            accepted.append(f"{what}, trained")
        except ObservatoryError:
            pass
        assert not mark.exists(), what
        assert not list(results.glob(".*.tmp")), what
    assert accepted == []


def test_a_bundle_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    rng = random.Random(2)
    for content in (b"", b"\0" * 10240, rng.randbytes(5000), gzip.compress(rng.randbytes(5000))):
        (tmp_path / "bad.tar").write_bytes(content)
        with pytest.raises(ObservatoryError):
            import_bundle(tmp_path / "bad.tar", tmp_path / "results")


def test_no_number_of_a_group_may_lie_below_its_range() -> None:
    base = resolved(ready(OmegaConf.create(compose("train", TINY)), HYDRA))
    accepted: list[str] = []
    for path, value in leaves(base):
        if path[0] not in ("store", "fleet", "retirement", "evaluation") or isinstance(value, bool):
            continue
        for bad in (-7, -0.5, math.nan) if isinstance(value, int | float) else ():
            config = deepcopy(base)
            parent(config, path)[path[-1]] = bad
            with suppress(ConfigError):
                check_settings(config)
                accepted.append(f"{'.'.join(path)} = {bad}")
    for name, value in base["mlflow"].items():
        for bad in (-7, -0.5) if isinstance(value, int | float) else ():
            with suppress(ConfigError):
                mlflow_settings({**base["mlflow"], name: bad}, Path())
                accepted.append(f"mlflow.{name} = {bad}")
    assert accepted == []

"""A bundle: the same bytes for the same study, nothing private, every file and column explained."""

import json
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from observatory.analysis.fit.study import write_replicas_csv
from observatory.bundle.export import export_study
from observatory.bundle.readme import FILES
from observatory.bundle.redact import public_config
from observatory.bundle.unpack import import_bundle
from observatory.bundle.weights import kept_weights
from observatory.core.errors import ConfigError, StoreError
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.store.files import read_json, write_json
from observatory.store.identity import identity
from observatory.store.reader import Study
from observatory.store.writer import update_manifest
from observatory.training.build import build
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

PRIVATE = "/home/grete/secret nook"
PLAN = Plan(
    study="small",
    weight_decays=(0.0, 0.5, 10.0),
    n_seeds=2,
    horizon=1000,
    probes=("weight_norm", "attention"),
    diverged=1,
    config={
        "results": PRIVATE,
        "mlflow": {"tracking_uri": "postgresql://grete:pass@host/db", "artifacts": None},
        "launcher": {"cluster": "slurm", "account": "grete"},
    },
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, written on a machine that has a name and folders of its own."""
    folder = fabricate_study(tmp_path_factory.mktemp("results"), PLAN)
    write_replicas_csv(Study(folder))
    write_json(folder / "fits.json", {"schema_version": 1, "fits": []})
    (run,) = (folder / "runs").iterdir()
    (run / "owner.lock").write_text("laptop")
    (run / "shards" / "0" / "worker.log").write_text(PRIVATE)
    command = f"/home/grete/bin/observatory map results={PRIVATE} launcher.account=grete"
    command += f" task=mul --config-dir {PRIVATE}"
    update_manifest(run, command=command)
    manifest = read_json(run / "manifest.json")
    (run / "config.yaml").write_text(yaml.safe_dump(manifest["config"]))
    quoted = manifest["command"] + "</td><td>host laptop; cpu x</td><pre>"
    page = f"<td>{quoted}{(run / 'config.yaml').read_text()}</pre>"
    (folder / "report.html").write_text(page.replace("'", "&#39;"))
    (folder / "report" / "figures").mkdir(parents=True)
    (folder / "report" / "figures" / "rate.svg").write_text("<svg/>")
    return folder


@pytest.fixture(scope="module")
def bundle(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_study(study, tmp_path_factory.mktemp("out") / "small", authors=["Ada Lovelace"])


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_same_study_gives_the_same_bytes_here_and_after_an_import(
    study: Path, tmp_path: Path
) -> None:
    for ending in (".tar", ".tar.gz"):
        first = export_study(study, tmp_path / f"a{ending}").read_bytes()
        again = import_bundle(tmp_path / f"a{ending}", tmp_path / ending)
        assert again == tmp_path / ending / "small"
        assert export_study(again, tmp_path / f"b{ending}").read_bytes() == first
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = archive.getmembers()
    assert {(m.uid, m.uname, m.mtime, m.mode) for m in members} == {(0, "", 0, 0o644)}
    assert not list(tmp_path.glob(".*.tmp"))


def test_sha256sum_checks_every_file(bundle: Path) -> None:
    sums = (bundle / "SHA256SUMS").read_text().splitlines()
    assert sorted(line.partition("  ")[2] for line in sums) == [
        name for name in files(bundle) if name != "SHA256SUMS"
    ]
    if shutil.which("sha256sum"):
        command = ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"]
        subprocess.run(command, cwd=bundle, check=True)


def test_nothing_names_the_machine_its_user_or_its_folders(bundle: Path) -> None:
    for name in files(bundle):
        content = (bundle / name).read_bytes()
        for private in (b"grete", b"secret", b"nook", b"host laptop", b"postgresql"):
            assert private not in content, name
    assert not [name for name in files(bundle) if Path(name).suffix in (".lock", ".log", ".pt")]
    manifest = read_json(next(bundle.glob("runs/*/manifest.json")))
    assert manifest["machine"]["host"] == "redacted"
    assert manifest["command"] == (
        "observatory map results=redacted redacted launcher.account=redacted "
        "task=mul --config-dir redacted redacted"
    )
    assert "host redacted; cpu x" in (bundle / "report.html").read_text()


def test_the_readme_explains_every_file_and_every_column(bundle: Path) -> None:
    text = (bundle / "README.md").read_text()
    for name in files(bundle):
        (pattern, *_) = [pattern for pattern in FILES if fnmatch(name, pattern)]
        assert f"| `{pattern}` |" in text
    absent = [pattern for pattern in FILES if f"| `{pattern}` |" not in text]
    assert absent == [
        "weights.csv",
        "weights/*",
        "runs/*/code.diff",
        "runs/*/shards/*/progress.json",
    ]
    for part in bundle.glob("runs/*/shards/0/**/*.parquet"):
        table = part.parent.as_posix().partition("/shards/0/")[2]
        section = text.partition(f"\n## {table}\n")[2]
        for column in pd.read_parquet(part):
            assert f"| `{column}` |" in section.partition("\n## ")[0]
    csv = text.partition("\n## replicas.csv")[2].partition("\n## ")[0]
    for column in pd.read_csv(bundle / "replicas.csv"):
        assert f"| `{column}` |" in csv


def block(text: str) -> str:
    """The first Python block of a Markdown text."""
    return text.partition("```python\n")[2].partition("```")[0]


@pytest.mark.parametrize("source", ["README.md", "docs/sharing.md"])
def test_pandas_alone_reads_it(bundle: Path, study: Path, source: str) -> None:
    text = (bundle if source == "README.md" else Path(__file__).parents[3]).joinpath(source)
    code = f"{block(text.read_text())}\nimport sys\nassert 'observatory' not in sys.modules\n"
    code += "print(len(replicas), len(looks), len(curves), looks['val_acc'].sum())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=bundle, capture_output=True, text=True, check=True
    )
    table = Study(study).runs[0].table("evaluation")
    n_replicas, *n_looks, total = done.stdout.split()
    assert n_replicas == "6"
    assert n_looks == [str(len(table))] * 2
    assert float(total) == pytest.approx(table["val_acc"].sum(), abs=1e-9)


def test_a_citation_names_data_authors_and_software(bundle: Path, study: Path) -> None:
    record = yaml.safe_load((bundle / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= record.keys()
    assert (record["type"], record["date-released"]) == ("dataset", "2026-01-05")
    assert record["authors"] == [{"name": "Ada Lovelace"}]
    assert record["title"].startswith("small")
    assert record["references"][0]["version"] == "0.1.0"
    environment = next(bundle.glob("runs/*/environment.txt")).read_text()
    assert "torch==2.13.0+cpu" in environment
    assert "# git commit: d34db33f" in environment


def test_what_exists_is_not_overwritten(study: Path, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must not exist yet"):
        export_study(study, bundle)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="Could not write"):
        export_study(study, tmp_path / "file" / "bundle.tar")
    assert files(tmp_path) == ["file"]


def test_a_study_that_is_not_done_is_exported_only_as_partial(tmp_path: Path) -> None:
    plan = Plan(study="open", weight_decays=(0.5,), n_seeds=2, probes=(), unfinished=1)
    folder = fabricate_study(tmp_path / "results", plan)
    with pytest.raises(ConfigError, match=r"not done: .* \(interrupted\).*--partial"):
        export_study(folder, tmp_path / "open.tar")
    assert not (tmp_path / "open.tar").exists()
    export_study(folder, tmp_path / "open.tar", partial=True)
    brought = import_bundle(tmp_path / "open.tar", tmp_path / "other")
    assert "Not complete" in (brought / "README.md").read_text()
    assert "1 of them finished" in (brought / "README.md").read_text()
    assert not read_json(brought / "bundle.json")["complete"]
    assert Study(brought).runs[0].outcomes()["outcome"].isna().sum() == 1


@pytest.fixture(scope="module")
def under_way(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two shards with one network each: one has left, the other made three steps."""
    overrides = ["task.p=7", "model.d_model=16", "model.d_mlp=16", "fleet.shards=2"]
    sweep = ["+sweep.scientific.weight_decay=[0.0,1.0]", "+sweep.nuisance.seed=[0]"]
    config = resolved(compose("train", [*overrides, *sweep, "probe=[weight_norm]"]))
    plan = Plan(study="tiny", weight_decays=(0.0, 1.0), n_seeds=1, probes=(), config=config)
    folder = fabricate_study(tmp_path_factory.mktemp("results"), replace(plan, unfinished=1))
    (run,) = Study(folder).runs
    for shard, steps in enumerate((1, 3)):
        fleet = build(config).shard(shard, 2)
        fleet.fill()
        fleet.advance(steps)
        if shard == 0:
            fleet.vacate(0)
        place = run.folder / "shards" / str(shard) / "checkpoint.pt"
        torch.save({"fleet": fleet.state()}, place)
    return folder


@pytest.mark.slow
def test_weights_are_those_of_the_checkpoint(under_way: Path, tmp_path: Path) -> None:
    bundle = export_study(under_way, tmp_path / "out", weights=True, partial=True)
    listed = pd.read_csv(bundle / "weights.csv")
    assert listed["step"].isna().tolist() == [True, False]
    (run,) = Study(under_way).runs
    name = listed["file"][1]
    assert name == f"weights/{run.run_id}/replica-000001.safetensors"
    assert read_json(bundle / "bundle.json")["weights"] == [name]
    alone = build(run.manifest["config"]).shard(1, 2)
    alone.fill()
    alone.advance(3)
    network = alone.network
    network.load_state_dict(load_file(bundle / name))
    saved = torch.cat([p.detach().reshape(-1) for p in network.parameters()])
    assert torch.equal(saved, alone.flat[0])
    with safe_open(bundle / name, "pt") as file:
        about = json.loads(file.metadata()["observatory"])
    assert about == {"run_id": run.run_id, "replica": 1, "step": 3}
    assert "Of 1 of 2 networks" in (bundle / "README.md").read_text()


def test_weights_of_a_fork_need_no_study_of_its_parents(under_way: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(under_way, tmp_path / "tiny")
    (run,) = Study(folder).runs
    fork = {"study": "results/elsewhere", "step": 1}
    update_manifest(run.folder, config={**run.manifest["config"], "fork": fork})
    (kept,) = kept_weights(Study(folder), trust=False)
    assert (kept.replica, kept.step) == (1, 3)


def test_weights_that_nobody_kept_are_refused(study: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`--weights` finds none"):
        export_study(study, tmp_path / "weights", weights=True)
    assert not list(tmp_path.iterdir())


def test_identity_survives_the_redaction() -> None:
    config = resolved(compose("train", [f"results={PRIVATE.replace(' ', '_')}"]))
    public = public_config({**config, "mlflow": {**config["mlflow"], "tracking_uri": "x://y"}})
    assert public["results"] == "results"
    assert public["mlflow"]["tracking_uri"] is None
    assert identity(public) == identity(config)

"""A bundle that is damaged, foreign or hostile leaves nothing behind."""

import gzip
import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from observatory.bundle.export import export_study
from observatory.bundle.unpack import import_bundle
from observatory.core.errors import ConfigError, ObservatoryError, StoreError
from observatory.launch.status import study_status, text
from observatory.launch.trust import is_imported
from observatory.store.files import read_json, write_json
from observatory.store.reader import Study
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

MANIFEST = "runs/0123456789ab/manifest.json"
PLAN = Plan(study="small", weight_decays=(0.5,), n_seeds=1, horizon=100, probes=(), n_shards=1)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = fabricate_study(tmp_path_factory.mktemp("results"), PLAN)
    return export_study(folder, folder.parent / "bundle")


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported, tmp_path / "bundle")


def summed_again(bundle: Path) -> None:
    """Sums that fit the files again, as one who changes them on purpose would write."""
    lines = []
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        if path.name != "SHA256SUMS":
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"{digest}  {path.relative_to(bundle).as_posix()}\n")
    (bundle / "SHA256SUMS").write_text("".join(lines))


def refused(bundle: Path, told: str, error: type[ObservatoryError] = StoreError) -> None:
    results = bundle.parent / "elsewhere"
    with pytest.raises(error, match=told):
        import_bundle(bundle, results)
    assert not list(results.iterdir())


def test_a_folder_is_a_study_again(bundle: Path, tmp_path: Path) -> None:
    study = Study(import_bundle(bundle, tmp_path / "results"))
    assert study.name == "small"
    assert len(study.runs[0].outcomes()) == 1
    with pytest.raises(ConfigError, match="exists and is not overwritten"):
        import_bundle(bundle, tmp_path / "results")
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["small"]


def flip(bundle: Path) -> None:
    part = next(bundle.rglob("part-*.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (flip, "has other bytes than the sums say in runs/"),
        (lambda bundle: next(bundle.rglob("replicas.parquet")).unlink(), "lacks runs/"),
        (lambda bundle: (bundle / "new").touch(), "files that the sums do not name: new"),
    ],
)
def test_a_file_that_changed_is_named(
    bundle: Path, change: Callable[[Path], None], told: str
) -> None:
    change(bundle)
    refused(bundle, told)


@pytest.mark.parametrize(
    ("file", "changes", "told"),
    [
        ("bundle.json", {"bundle_version": 2}, "this version of observatory reads 1"),
        ("bundle.json", {"study": "../small"}, "must be one plain name"),
        ("bundle.json", {"study": ".hidden"}, "must not be empty, not begin with"),
        ("bundle.json", {"study": None}, "`study` must be a text, got None"),
        ("bundle.json", {"runs": ["0123456789ab", "../.."]}, "must be the folders of runs/"),
        (MANIFEST, {"schema_version": 2}, "`schema_version` 2"),
        (MANIFEST, {"run_id": "../../../evil"}, "`run_id` must be the folder's name"),
        (MANIFEST, {"run_id": "0123456789"}, "`run_id` must be the folder's name"),
        (MANIFEST, {"identity": "f" * 64}, "and the identity's start"),
        (MANIFEST, {"horizon_steps": "long"}, "`horizon_steps` must be a whole number, got 'long'"),
        (MANIFEST, {"created": "yesterday"}, "`created` must be a time with its zone"),
        (MANIFEST, {"tables": {}}, "`tables` must hold"),
        (MANIFEST, {"tables": {"evaluation": [], "outcomes": []}}, "must declare the table"),
        (MANIFEST, {"tables": {"../x": [], "evaluation": [], "outcomes": []}}, "'../x' are wrong"),
    ],
)
def test_what_this_version_cannot_read_is_refused(
    bundle: Path, file: str, changes: dict[str, object], told: str
) -> None:
    write_json(bundle / file, {**read_json(bundle / file), **changes})
    summed_again(bundle)
    refused(bundle, told)


@pytest.mark.parametrize(
    "name",
    [
        "runs/0123456789ab/shards/0/checkpoint.pt",
        "runs/0123456789ab/jobs/1_0_submitted.pkl",
        "runs/0123456789ab/shards/0/evaluation/evil.py",
        "code/0123456789ab/observatory/__init__.py",
        "imported/report.html",
        "weights/0123456789ab/replica-000000.pt",
        "search.json",
    ],
)
def test_files_that_export_does_not_write_are_refused(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).write_bytes(b"x")
    summed_again(bundle)
    refused(bundle, "which is no file of a bundle")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("bundle.json", "[" * 100_000, "nested too deeply"),
        ("bundle.json", "[]", "must have entries by name"),
        (MANIFEST, '{"a": NaN}', "NaN is no number of JSON"),
        (MANIFEST, " " * 2**25 + "{}", "too many for settings"),
        (MANIFEST.replace("manifest.json", "config.yaml"), "a: [", "is no YAML"),
        (MANIFEST.replace("manifest.json", "replicas.parquet"), "PAR1", "is no table"),
        (MANIFEST.replace("manifest.json", "shards/0/progress.json"), "{}", "lacks"),
    ],
)
def test_a_file_that_is_not_what_it_must_be_is_refused(
    bundle: Path, name: str, content: str, told: str
) -> None:
    (bundle / name).write_text(content)
    summed_again(bundle)
    refused(bundle, told)


@pytest.mark.slow
def test_a_tar_that_unpacks_to_more_than_a_bundle_holds_is_refused_on_the_way(
    tmp_path: Path,
) -> None:
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as archive:
        for number in range(16):
            member = tarfile.TarInfo(f"small/report/{number}")
            member.size = 2**23
            archive.addfile(member, io.BytesIO(bytes(2**23)))
    assert (tmp_path / "bomb.tar.gz").stat().st_size < 2**20
    refused(tmp_path / "bomb.tar.gz", "it unpacks to more than 67,108,864 bytes")


@pytest.mark.slow
def test_a_header_of_a_tar_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A name of 200 MB in a header that is read whole."""
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 200 * 2**20
    with gzip.open(tmp_path / "name.tar.gz", "wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        for _ in range(200):
            file.write(b"a" * 2**20)
    refused(tmp_path / "name.tar.gz", "it unpacks to more than")


def test_a_table_that_claims_more_values_than_its_bytes_can_hold_is_refused(bundle: Path) -> None:
    part = next(bundle.glob("runs/*/shards/0/evaluation/part-*.parquet"))
    zeros = pa.table({"train_acc": pa.array(np.zeros(20_000_000))})
    pq.write_table(zeros, part, compression="zstd")
    summed_again(bundle)
    refused(bundle, "claims 20,000,000 values")


def test_pages_and_estimates_of_a_stranger_are_kept_apart(bundle: Path, tmp_path: Path) -> None:
    (bundle / "report.html").write_text("<script>alert(1)</script>")
    write_json(bundle / "fits.json", {"schema_version": 1, "fits": []})
    summed_again(bundle)
    study = import_bundle(bundle, tmp_path / "results")
    assert is_imported(study)
    assert "imported from a bundle" in text(study_status(study))
    assert not (study / "report.html").exists()
    assert not (study / "fits.json").exists()
    assert "alert" in (study / "imported" / "report.html").read_text()
    assert read_json(study / "imported" / "origin.json")["bundle"] == "bundle"


def test_a_run_under_the_name_of_another_place_is_refused(bundle: Path, tmp_path: Path) -> None:
    """Without an import: what is written by a run's name stays in its folder."""
    manifest = bundle / MANIFEST
    write_json(manifest, {**read_json(manifest), "run_id": "../../../evil"})
    with pytest.raises(StoreError, match=r"holds the run '../../../evil'"):
        export_study(bundle, tmp_path / "out" / "small")


def test_a_link_in_a_folder_is_refused(bundle: Path) -> None:
    (bundle / "link").symlink_to("/etc/passwd")
    refused(bundle, "is a link or a device")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../evil", tarfile.REGTYPE),
        ("small/../../evil", tarfile.REGTYPE),
        ("/evil", tarfile.REGTYPE),
        ("small/link", tarfile.SYMTYPE),
        ("small/hard", tarfile.LNKTYPE),
        ("small/fifo", tarfile.FIFOTYPE),
    ],
)
def test_a_tar_that_leads_out_of_its_folder_is_refused(
    tmp_path: Path, name: str, kind: bytes
) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        member.size = 4 if kind == tarfile.REGTYPE else 0
        archive.addfile(member, io.BytesIO(b"evil"))
    refused(tmp_path / "evil.tar", "leads out of its folder")
    assert not list(tmp_path.rglob("evil"))


def test_what_is_no_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "SHA256SUMS").unlink()
    refused(bundle, "has no SHA256SUMS")
    refused(tmp_path / "absent.tar", "does not exist", ConfigError)
    (tmp_path / "text.tar").write_text("no tar")
    refused(tmp_path / "text.tar", "is no tar, or it ends too early")


def test_a_tar_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    study = fabricate_study(tmp_path / "results", PLAN)
    for ending in (".tar", ".tar.gz"):
        whole = export_study(study, tmp_path / f"whole{ending}").read_bytes()
        (tmp_path / f"cut{ending}").write_bytes(whole[: len(whole) // 2])
        refused(tmp_path / f"cut{ending}", "ends too early")

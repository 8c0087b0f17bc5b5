"""A bundle that is damaged, foreign or hostile leaves nothing behind."""

import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from observatory.bundle.export import export_study
from observatory.bundle.unpack import import_bundle
from observatory.core.errors import ConfigError, ObservatoryError, StoreError
from observatory.store.files import read_json, write_json
from observatory.store.reader import Study
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

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
        ("bundle.json", {"bundle_version": 2}, "reads up to 1. Install observatory 0.1.0"),
        ("bundle.json", {"study": "../small"}, "no plain name"),
        ("bundle.json", {"study": ".hidden"}, "no plain name"),
        ("bundle.json", {"study": None}, "no plain name"),
        ("runs/0123456789ab/manifest.json", {"schema_version": 2}, "`schema_version` 2"),
    ],
)
def test_what_this_version_cannot_read_is_refused(
    bundle: Path, file: str, changes: dict[str, object], told: str
) -> None:
    write_json(bundle / file, {**read_json(bundle / file), **changes})
    summed_again(bundle)
    refused(bundle, told)


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

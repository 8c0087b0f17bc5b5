"""A study as one publishable bundle: a folder or a tar that explains and checks itself.

The layout below `runs/` is the store's own, so that `import_bundle` gives back a study. The bytes
follow from the study and the version of the software alone: no clock, no account, no host.
"""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import observatory
from observatory.bundle.cards import BundleFacts, citation, environment, weights_csv
from observatory.bundle.readme import readme
from observatory.bundle.redact import (
    LEFT_OUT,
    manifest_text,
    public_manifest,
    public_page,
    public_yaml,
)
from observatory.bundle.schema import ABOUT, BUNDLE_VERSION, SUMS
from observatory.core.errors import ConfigError, StoreError
from observatory.launch.trust import IMPORTED
from observatory.store.files import (
    TEMPORARY,
    make_folder,
    refused_as_store_error,
    rename_durably,
    temporary_beside,
    write_bytes,
)
from observatory.store.identity import SCHEMA_VERSION
from observatory.store.parts import PARTS, parts_of, shards_of
from observatory.store.reader import MANIFEST, REPLICAS, Run, Study
from observatory.store.rows import PROGRESS
from observatory.store.schema import STATES, WEIGHTS

if TYPE_CHECKING:
    from observatory.bundle.weights import Kept

_TARS = {".tar": "", ".tar.gz": "gz", ".tgz": "gz"}
"""Endings of a bundle in one file, and how it is compressed: the tables are already."""


class Sink(Protocol):
    """Where the files of a bundle go."""

    def add(self, name: str, content: bytes) -> None:
        """Write one file; `name` is relative, with slashes."""
        ...


def export_study(
    folder: Path,
    out: Path | None = None,
    *,
    weights: bool = False,
    partial: bool = False,
    trust: bool = False,
    authors: Sequence[str] = (),
) -> Path:
    """Write a study as a bundle; the same study gives the same bytes.

    Args:
        folder: `results/<study>`; only read.
        out: A file that ends in .tar, .tar.gz or .tgz, or a folder; null: `<study>.tar` here.
        weights: Whether the parameters of replicas, and states that were kept, go along.
        partial: Whether a study may be exported whose runs are not all done.
        trust: Whether settings of the study may name code outside of this package, which runs.
        authors: Whom a citation names.

    Returns:
        `out`.

    Raises:
        StoreError: If the study cannot be read or the bundle not be written; there is none then.
        ConfigError: If `out` exists, a run is not done, no weights exist that are asked for, or
            their network is not of this package.
    """
    study = Study(folder)
    out = Path(f"{study.name}.tar") if out is None else out
    if out.exists() or out.is_symlink():
        raise ConfigError(f"`--out` must not exist yet, got {out}. Remove it, or name another.")
    unfinished = [run for run in study.runs if run.status != "done"]
    if unfinished and not partial:
        named = ", ".join(f"{run.run_id} ({run.lost() or run.status})" for run in unfinished)
        raise ConfigError(
            f"`{folder}` is not done: {named}. Let the same `observatory map` finish it, or give "
            "`--partial` for a bundle of what there is."
        )
    kept = _kept(study, trust) if weights else None
    whose = None if kept is None else frozenset((each.run_id, each.replica) for each in kept)
    left_out = _left_out(weights)
    manifests = tuple(_without(left_out, public_manifest(run.manifest)) for run in study.runs)
    facts = BundleFacts(study.name, manifests, whose, tuple(authors))
    sums: dict[str, str] = {}
    with _sink(out, study.name) as sink:

        def add(name: str, content: bytes) -> None:
            sink.add(name, content)
            sums[name] = hashlib.sha256(content).hexdigest()

        for name, content in _contents(study, facts, kept):
            add(name, content)
        add("README.md", readme(facts, study, made_of(study), sums.keys()).encode())
        lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
        sink.add(SUMS, "".join(lines).encode())
    return out


def _kept(study: Study, trust: bool) -> "list[Kept]":
    from observatory.bundle.weights import kept_weights  # torch: only where asked for

    kept = list(kept_weights(study, trust))
    if not kept:
        raise ConfigError(
            f"`--weights` finds none in `{study.folder}`: no replica trains, and those that left "
            "dropped their parameters, as the runs were made with `store.final_weights=false` or "
            "before there was that setting. Export without `--weights`; config, seeds and versions "
            "train them again."
        )
    return kept


def _left_out(weights: bool) -> tuple[str, ...]:
    """Tables that a bundle has not: final weights are files of it, states go along with them."""
    return (WEIGHTS,) if weights else (WEIGHTS, STATES)


def _without(left_out: Collection[str], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of a run without these tables."""
    tables = {name: columns for name, columns in manifest["tables"].items() if name not in left_out}
    return {**manifest, "tables": tables}


def _contents(
    study: Study, facts: BundleFacts, kept: "Sequence[Kept] | None"
) -> Iterator[tuple[str, bytes]]:
    """Every file of the bundle but the README and the checksums."""
    if kept is not None:
        for each in kept:
            yield each.file, each.content()
        yield "weights.csv", weights_csv(study, kept).encode()
    for run, manifest in zip(study.runs, facts.manifests, strict=True):
        for name, content in _run_contents(run, _left_out(kept is not None)):
            yield f"runs/{run.run_id}/{name}", content
        yield f"runs/{run.run_id}/{MANIFEST}", manifest_text(manifest).encode()
        yield f"runs/{run.run_id}/environment.txt", environment(manifest).encode()
    yield from _page(study)
    about = {
        "bundle_version": BUNDLE_VERSION,
        "study": study.name,
        "schema_version": SCHEMA_VERSION,
        "software": {"name": "observatory", "version": observatory.__version__},
        "complete": facts.complete,
        "runs": [run.run_id for run in study.runs],
        "weights": [each.file for each in kept or ()],
        "redacted": list(LEFT_OUT),
    }
    yield ABOUT, (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode()
    yield "CITATION.cff", citation(facts).encode()


def _run_contents(run: Run, left_out: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The files of a run as they are, but some tables; its configuration for everyone."""
    shards = shards_of(run.folder)
    apart = {part for table in left_out for part in parts_of(run.folder, table)}
    parts = sorted({p for shard in shards for p in shard.glob(f"**/{PARTS}")} - apart)
    progress = [file for shard in shards if (file := shard / PROGRESS).is_file()]
    diff = run.folder / "code.diff"
    for path in (run.folder / REPLICAS, *parts, *progress, *([diff] if diff.exists() else [])):
        yield path.relative_to(run.folder).as_posix(), _read(path)
    yield "config.yaml", public_yaml(_read(run.folder / "config.yaml").decode()).encode()


def made_of(study: Study) -> Path:
    """Where fits and report of a study are: apart while they are those of its bundle."""
    own = any((study.folder / name).exists() for name in ("fits.json", "report.html"))
    return study.folder if own else study.folder / IMPORTED


def _page(study: Study) -> Iterator[tuple[str, bytes]]:
    """What was made of the runs, as far as it was."""
    made = made_of(study)
    files = (path for path in made.glob("report/**/*") if path.is_file())
    figures = sorted(path for path in files if not path.match(TEMPORARY))
    for path in (made / "fits.json", made / "replicas.csv", *figures):
        if path.exists():
            yield path.relative_to(made).as_posix(), _read(path)
    report = made / "report.html"
    if report.exists():
        page = _read(report).decode()
        for run in study.runs:
            page = public_page(page, run.manifest, _read(run.folder / "config.yaml").decode())
        yield report.name, page.encode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"`{path}` cannot be read ({error.strerror}). A run that trains may have replaced it: "
            "start the same command again."
        ) from error


@contextmanager
def _sink(out: Path, top: str) -> Iterator[Sink]:
    """A bundle under a temporary name, which takes its own name once it is whole."""
    ending = next((ending for ending in _TARS if out.name.endswith(ending)), None)
    temporary = temporary_beside(out)
    with refused_as_store_error(out):
        make_folder(out.parent)
        try:
            if ending is None:
                temporary.mkdir()
                yield _Folder(temporary)
            else:
                with _packed(temporary, _TARS[ending]) as archive:
                    yield _Tar(archive, top)
            rename_durably(temporary, out)
        except BaseException:
            shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)
            raise


@contextmanager
def _packed(path: Path, compression: str) -> Iterator[tarfile.TarFile]:
    with path.open("wb") as raw:
        # no name and no time in the head of the gzip file
        file = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if compression else raw
        with file, tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            yield archive


class _Folder:
    """A bundle as a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, content: bytes) -> None:
        write_bytes(self.folder / name, content)


class _Tar:
    """A bundle as a tar with one folder; owner, group, mode and time are the same everywhere."""

    def __init__(self, archive: tarfile.TarFile, top: str) -> None:
        self.archive, self.top = archive, top

    def add(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(f"{self.top}/{name}")
        member.size, member.mode, member.mtime = len(content), 0o644, 0
        self.archive.addfile(member, io.BytesIO(content))

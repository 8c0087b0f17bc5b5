"""What of a bundle other programs read: its environment, its citation, its list of weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from observatory.store.reader import Study

if TYPE_CHECKING:
    from observatory.bundle.weights import Kept


@dataclass(frozen=True)
class BundleFacts:
    """What a bundle says beside the study."""

    study: str  # name of the study
    manifests: tuple[Mapping[str, Any], ...]  # of its runs, as the public sees them
    # networks whose parameters go along, by run and replica; null where they were not asked for
    kept: frozenset[tuple[str, int]] | None
    authors: tuple[str, ...]  # whom to cite

    @property
    def complete(self) -> bool:
        """Whether every run had ended."""
        return all(manifest["status"] == "done" for manifest in self.manifests)


def weights_csv(study: Study, kept: "Sequence[Kept]") -> str:
    """One line per replica: the step of its parameters and their file, empty where none exist."""
    places = [(each.run_id, each.replica, each.step, each.file) for each in kept]
    found = pd.DataFrame(places, columns=["run_id", "replica", "step", "file"])
    found["step"] = found["step"].astype("Int64")
    replicas = [run.replicas().drop(columns="shard") for run in study.runs]
    return pd.concat(replicas).merge(found, how="left").to_csv(index=False)


def environment(manifest: Mapping[str, Any]) -> str:
    """Versions of a run in the format of pip's requirements, machine and code as comments."""
    versions = dict(manifest["versions"])
    git = manifest["git"]
    facts = {
        "python": versions.pop("python"),
        "observatory": manifest["package_version"],
        "git commit": f"{git['commit']}{' with uncommitted changes' if git['dirty'] else ''}",
        **{k: v for k, v in manifest["machine"].items() if k != "host"},
        "threads": manifest["threads"],
    }
    lines = [f"# {name}: {value}" for name, value in facts.items()]
    lines += [f"{name}=={version}" for name, version in sorted(versions.items())]
    return "\n".join(lines) + "\n"


def citation(facts: BundleFacts) -> str:
    """A CITATION.cff of the data set, with the software that made it as its reference."""
    first = facts.manifests[0]
    ends = [manifest["finished"] or manifest["created"] for manifest in facts.manifests]
    authors = facts.authors or (f"The authors of the study {facts.study}",)
    commit = first["git"]["commit"]
    record = {
        "cff-version": "1.2.0",
        "type": "dataset",
        "message": "If you use these data, please cite them as below.",
        "title": f"{facts.study}: training records of {_models(facts.manifests)}",
        "authors": [{"name": name} for name in authors],
        "date-released": max(ends)[:10],
        "keywords": ["grokking", "training dynamics", "weight decay"],
        "references": [
            {
                "type": "software",
                "title": "observatory",
                "version": first["package_version"],
                "authors": [{"name": "The observatory developers"}],
                **({"commit": commit} if commit else {}),
            }
        ],
    }
    return yaml.safe_dump(record, sort_keys=False, allow_unicode=True)


def _models(manifests: Sequence[Mapping[str, Any]]) -> str:
    each = dict.fromkeys(
        f"{m['model']['name']} on {m['task']['name']}" if "task" in m else m["model"]["name"]
        for m in manifests
    )
    return ", ".join(each)

"""That replicas are forked: of which run they are a fork, at which moment, with which arms."""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from observatory.analysis.page.wording import plural, settings_words


def forks(manifests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence where replicas go on from those of another run, and one where they have arms.

    Said of the study where it holds for all of its runs, else run by run; empty where replicas
    begin at step 0 and have no arms.

    Args:
        manifests: Those of its runs, by their identity.
    """
    each = {run: list(_sentences(manifest)) for run, manifest in manifests.items()}
    first, *others = each.values()
    if all(said == first for said in others):
        return [f"This study {said}" for said in first]
    return [f"Run `{run}` {said}" for run, found in each.items() for said in found]


def _sentences(manifest: Mapping[str, Any]) -> Iterator[str]:
    config = manifest.get("config", {})
    if fork := manifest.get("fork"):
        own = config.get("fork") or {}
        state = "with the state" if fork["optimizer_state"] == "kept" else "with a new state"
        others = [name for name in ("weight_decay", "lr") if own.get(name) is not None]
        n = len(fork["parents"])
        who = "its one replica" if n == 1 else f"each of its {n} replicas"
        had = " and ".join(f"{name.replace('_', ' ')} {own[name]:g}" for name in others)
        yield (
            f"is a fork of run `{fork['run_id']}` of the study `{PurePath(own['study']).name}`: "
            f"{who} goes on from the state of its parent at step {fork['step']}, {state} of the "
            "optimizer"
            f"{f'; the parents had {had}' if had else ''}."
        )
    if arms := config.get("arms"):
        by_moment: dict[str, list[str]] = {}
        for name, arm in arms.items():
            by_moment.setdefault(_moment(arm["moment"]), []).append(f"`{name}`")
        parts = [f"into {' and '.join(names)} {moment}" for moment, names in by_moment.items()]
        yield (
            f"forks its replicas; each is copied, bit for bit: {'; '.join(parts)}. A copy and its "
            "parent differ by what is done in the arm alone."
        )


def _moment(settings: Mapping[str, Any]) -> str:
    """When an arm parts, from the settings of its moment."""
    kind, after = str(settings["_target_"]).rpartition(".")[2], settings.get("after") or 0
    if kind == "AtStep":
        return f"at step {settings['step']}"
    if kind == "AtEvent":
        when = f"{after} {plural(after, 'step')} after" if after else "when"
        return f"{when} its `{settings['event']}` is seen"
    if kind == "AtPeak":
        fall = f"{100 * settings['fall']:g}%"
        peak = f"when its `{settings['signal']}` has fallen {fall} below its peak"
        return f"{peak}{f' of the steps from {after} on' if after else ''}"
    if kind == "FirstOf":
        return f"at the first of these: {', or '.join(map(_moment, settings['moments']))}"
    return f"at the moment {kind} ({settings_words(settings)})"

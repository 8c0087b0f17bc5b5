"""What is left of a folder after a crash, of the process or of the machine, at every point.

Calls of `os` that make, sync, name and remove files are recorded as a command makes them. Before
each of them two states are noted: what is there, as a process leaves it that is killed; and what is
left where all is lost that was not synced, the contents of files and the names in folders alike.
Before a file is synced it is also noted with half of what was written since it was synced last.

What libraries write below Python is theirs to sync: a database (`*.db`) counts as synced. A point
may be added by `note`, such as at each of its transactions.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

Tree = dict[str, bytes | None]
"""Contents by path below the root; None for a folder."""

NAMES = ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync", "ftruncate")
"""The calls of `os` that are recorded."""


@dataclass(frozen=True)
class State:
    """What is left after a crash.

    Attributes:
        point: The call that was next.
        power: Whether all that was not synced is lost.
        tree: The files.
    """

    point: str
    power: bool
    tree: Tree

    def put(self, root: Path) -> Path:
        """Make the files below a folder that is made."""
        root.mkdir(parents=True)
        for name, content in sorted(self.tree.items()):
            if content is None:
                (root / name).mkdir()
            else:
                (root / name).write_bytes(content)
        return root


@dataclass(eq=False)
class _Kept:
    """What the disk holds of a file, or of a folder by name."""

    content: bytes = b""
    names: "dict[str, _Kept] | None" = None


@dataclass
class Recorder:
    """The states that a folder goes through; at first it is on the disk as it is.

    Attributes:
        root: The folder.
        states: Two and more for every call.
    """

    root: Path
    states: list[State] = field(default_factory=list)
    _kept: dict[int, _Kept] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder, _, files in os.walk(self.root, topdown=False):
            for name in files:
                self._sync(Path(folder) / name)
            self._sync(Path(folder))

    def note(self, point: str) -> None:
        """Add what a crash leaves before the call."""
        there = dict(self._there())
        kept = dict(self._on_disk(self._of(self.root), ""))
        for name in there:
            if name.endswith((".db", ".db-journal")) and str(Path(name).parent) in {".", *kept}:
                kept[name] = there[name]
        self.states += [State(point, power=False, tree=there), State(point, power=True, tree=kept)]

    def call(self, name: str, do: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make a call, noted before and followed."""
        path = _path(args[0], kwargs.get("dir_fd", kwargs.get("src_dir_fd")))
        if not path.is_relative_to(self.root):
            return do(*args, **kwargs)
        point = f"{len(self.states)} {name} {path.relative_to(self.root)}"
        self.note(point)
        if name == "fsync" and path.is_file():
            self._note_half(point, path)
        freed = path if name in ("unlink", "rmdir") else None
        if name in ("rename", "replace"):
            freed = Path(args[1])
        if freed is not None and freed.exists():
            self._kept.pop(freed.stat().st_ino, None)  # the next file may have the same number
        made = do(*args, **kwargs)
        if name == "fsync":
            self._sync(path)
        return made

    def _note_half(self, point: str, path: Path) -> None:
        name, content = path.relative_to(self.root).as_posix(), path.read_bytes()
        old = self._of(path).content
        begin = len(old) if content.startswith(old) else 0
        half = content[: begin + (len(content) - begin) // 2]
        tree = {**self.states[-2].tree, name: half}
        self.states.append(State(f"{point} half written", power=False, tree=tree))

    def _there(self) -> Iterator[tuple[str, bytes | None]]:
        for folder, folders, files in os.walk(self.root):
            for name in (*folders, *files):
                path = Path(folder) / name
                content = None if path.is_dir() else path.read_bytes()
                yield path.relative_to(self.root).as_posix(), content

    def _of(self, path: Path) -> _Kept:
        return self._kept.setdefault(path.stat().st_ino, _Kept(names={} if path.is_dir() else None))

    def _sync(self, path: Path) -> None:
        if path.is_dir():
            self._of(path).names = {below.name: self._of(below) for below in path.iterdir()}
        else:
            self._of(path).content = path.read_bytes()

    def _on_disk(self, folder: _Kept, above: str) -> Iterator[tuple[str, bytes | None]]:
        for name, kept in (folder.names or {}).items():
            yield above + name, kept.content if kept.names is None else None
            yield from self._on_disk(kept, f"{above}{name}/")


@contextmanager
def recorded(root: Path) -> Iterator[Recorder]:
    """Records the states that a folder goes through while the block runs, and the last one."""
    recorder = Recorder(root)
    with pytest.MonkeyPatch.context() as patch:
        for name in NAMES:
            patch.setattr(os, name, _following(recorder, name, getattr(os, name)))
        yield recorder
    recorder.note("end")


def _following(recorder: Recorder, name: str, do: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: recorder.call(name, do, *args, **kwargs)


def _path(given: Any, folder: int | None) -> Path:
    """The path of a call, given as path, or as number of an open file or of an open folder."""
    if isinstance(given, int):
        return Path(os.readlink(f"/proc/self/fd/{given}"))
    above = Path.cwd() if folder is None else Path(os.readlink(f"/proc/self/fd/{folder}"))
    return above / given


def distinct(
    states: list[State], key: Callable[[str, bytes | None], object] = lambda name, content: content
) -> list[State]:
    """The first of all states with the same files.

    Args:
        states: In order.
        key: What of a file counts, given its path and content; None: that it is not there.
    """
    first: dict[frozenset[tuple[str, object]], State] = {}
    for state in states:
        files = {name: key(name, content) for name, content in state.tree.items()}
        seen = frozenset((name, what) for name, what in files.items() if what is not None)
        first.setdefault(seen, state)
    return list(first.values())

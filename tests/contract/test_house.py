"""No room is too full and no module too long to be read."""

from collections import Counter
from pathlib import Path

import pytest

import observatory

PACKAGE = Path(observatory.__path__[0])
MODULES = sorted(
    path
    for folder in (PACKAGE, *(PACKAGE.parent / name for name in ("analysis", "sweeps")))
    for path in folder.rglob("*.py")
)
MOST_MODULES, MOST_LINES = 25, 300


def too_full(modules: list[Path]) -> list[Path]:
    """Folders with too many modules."""
    rooms = Counter(path.parent for path in modules if path.stem != "__init__")
    return sorted(room for room, n in rooms.items() if n > MOST_MODULES)


def test_no_room_is_too_full() -> None:
    assert too_full(MODULES) == []
    many = [Path(f"room/{i}.py") for i in range(MOST_MODULES + 1)]
    assert too_full([*many[:9], Path("room/7a/inside.py"), *many[9:]]) == [Path("room")]


def test_no_module_is_too_long() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert len(lines) > 400
    assert [str(path) for path, n in lines.items() if n > MOST_LINES] == []


@pytest.mark.parametrize("folder", ["analysis", "sweeps"])
def test_the_rooms_beside_the_package_are_looked_at(folder: str) -> None:
    assert any(path.is_relative_to(PACKAGE.parent / folder) for path in MODULES)

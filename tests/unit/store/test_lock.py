import json
import os
import socket
from pathlib import Path

import pytest

from observatory.core.errors import BusyError
from observatory.store.files import temporary_beside
from observatory.store.lock import Owner, own, owner_of

DEAD = {"pid": 2**22 + 1, "host": "elsewhere", "started": "2026-01-05T10:00:00+00:00"}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "owner.lock"


def test_the_entry_says_who_owns_it(lock: Path) -> None:
    with own(lock) as owner:
        assert (owner.pid, owner.host) == (os.getpid(), socket.gethostname())
        assert Owner(**json.loads(lock.read_text())) == owner
        assert owner_of(lock) == owner


def test_nobody_owns_it_before_and_after(lock: Path) -> None:
    assert owner_of(lock) is None
    with own(lock):
        pass
    assert owner_of(lock) is None
    with own(lock):
        pass


def test_it_is_given_back_after_an_error(lock: Path) -> None:
    with pytest.raises(KeyError), own(lock):
        raise KeyError
    assert owner_of(lock) is None


def test_a_second_owner_is_told_who_and_since_when(lock: Path) -> None:
    with own(lock) as owner, pytest.raises(BusyError) as busy, own(lock):
        pass
    assert busy.value.exit_code == 4
    for word in (str(owner.pid), owner.host, owner.started, str(lock.parent)):
        assert word in str(busy.value)


def test_the_refused_one_leaves_the_lock_and_its_entry(lock: Path) -> None:
    with own(lock) as owner:
        with pytest.raises(BusyError), own(lock):
            pass
        assert owner_of(lock) == owner


@pytest.mark.parametrize("entry", [json.dumps(DEAD), "", "{", "[1]", '{"pid": 1}'])
def test_what_a_dead_owner_left_is_taken_over(lock: Path, entry: str) -> None:
    lock.write_text(entry)
    unfinished = temporary_beside(lock.parent / "manifest.json")
    unfinished.touch()
    assert owner_of(lock) is None
    with own(lock) as owner:
        assert owner_of(lock) == owner
        assert not unfinished.exists()


def test_asking_does_not_disturb_a_start(lock: Path) -> None:
    lock.write_text(json.dumps(DEAD))
    for _ in range(20):
        assert owner_of(lock) is None
        with own(lock):
            assert owner_of(lock) is not None

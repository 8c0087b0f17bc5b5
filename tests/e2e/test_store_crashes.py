"""The store under races, a full disk and read-only folders: real processes, real limits.

Run as a program this file is the server whose children are killed, raced and refused.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from observatory.core.columns import Column
from observatory.core.errors import BusyError, StoreError
from observatory.store.files import TEMPORARY, read_json, write_json
from observatory.store.lock import own, owner_of
from observatory.store.reader import Run
from observatory.store.writer import ShardWriter, create_run, update_manifest

ROOT = Path(__file__).parents[2]
COLUMNS = (
    Column(name="loss", unit="nats", meaning="a function of replica and step"),
    Column(name="norms", unit="1", meaning="likewise", dims=("layer",)),
)
TABLES = {"evaluation": COLUMNS, "probes/norm": COLUMNS}
REPLICAS = np.arange(4)
END, FLUSH_EVERY, CHECKPOINT_EVERY, PROBE_EVERY = 72, 4, 12, 6


def new_run(folder: Path) -> Run:
    manifest = {
        "schema_version": 1,
        "run_id": folder.name,
        "identity": folder.name,
        "status": "running",
        "tables": {name: [column.to_json() for column in COLUMNS] for name in TABLES},
    }
    zeros = np.zeros(len(REPLICAS))
    table = {"replica": REPLICAS, "shard": REPLICAS, "seed": REPLICAS}
    return create_run(folder, manifest, {**table, "weight_decay": zeros, "lr": zeros}, "a: 1\n")


def measured(replicas: np.ndarray, step: int) -> dict[str, np.ndarray]:
    loss = np.sin(replicas + step)
    return {"loss": loss, "norms": np.stack([loss, 2 * loss], axis=1)}


def train(run: Run, shard: int, replicas: np.ndarray, end: int = END) -> None:
    """A shard as the training writes it: flush, then checkpoint, from the last checkpoint on."""
    folder = run.folder / "shards" / str(shard)
    checkpoint = folder / "checkpoint.json"
    tick = read_json(checkpoint)["tick"] if checkpoint.exists() else 0
    writer = ShardWriter(folder, run.run_id, TABLES, tick)
    while tick < end:
        steps = np.full(len(replicas), tick)
        writer.append("evaluation", replicas, steps, measured(replicas, tick))
        if tick % PROBE_EVERY == 0:
            writer.append("probes/norm", replicas, steps, measured(replicas, tick))
        tick += 1
        if tick % FLUSH_EVERY == 0:
            writer.flush(tick)
        if tick % CHECKPOINT_EVERY == 0:
            write_json(checkpoint, {"tick": tick})


def checked(run: Run, name: str) -> int:
    """Number of rows, after checking that none is double or wrong."""
    frame = run.table(name)
    assert not frame.duplicated(["replica", "step"]).any(), "a row is there twice"
    expected = np.sin(frame["replica"].to_numpy() + frame["step"].to_numpy())
    assert np.array_equal(frame["loss"].to_numpy(), expected)
    assert all(np.array_equal(n, [x, 2 * x]) for n, x in zip(frame["norms"], expected, strict=True))
    return len(frame)


def fork(body: Callable[[], Any]) -> int:
    """Run `body` in a child; its exit code is that of its error, or 0."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        body()
        code = 0
    except StoreError as error:
        code = error.exit_code
        sys.stderr.write(f"{error}\n")
    finally:
        sys.stderr.flush()
        os._exit(code)


def exit_codes(pids: list[int]) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def at_once(bodies: list[Callable[[], Any]]) -> list[int]:
    """Fork one child per body; they begin together."""
    gate, starter = os.pipe()

    def waiting(body: Callable[[], Any]) -> Callable[[], Any]:
        def wait_then_begin() -> None:
            os.close(starter)
            os.read(gate, 1)  # returns when the parent closes its end
            body()

        return wait_then_begin

    pids = [fork(waiting(body)) for body in bodies]
    os.close(starter)
    os.close(gate)
    return pids


def race_for_a_lock(folder: Path) -> dict[str, Any]:
    """Twelve start at once, the winner is killed, one more starts."""
    lock = folder / "owner.lock"
    held, holding = os.pipe()

    def hold() -> None:
        with own(lock):
            os.write(holding, b"x")
            time.sleep(60)

    pids = at_once([hold] * 12)
    assert os.read(held, 12) == b"x"
    owner = owner_of(lock)
    assert owner is not None
    codes = exit_codes([pid for pid in pids if pid != owner.pid])
    alone = owner_of(lock) == owner
    os.kill(owner.pid, signal.SIGKILL)
    killed = exit_codes([owner.pid])
    left = lock.read_text().strip()
    with own(lock) as heir:
        return {
            "winner": owner.pid,
            "losers": codes,
            "alone": alone,
            "killed": killed,
            "left_by_the_dead": json.loads(left)["pid"],
            "heir": heir.pid == os.getpid() and owner_of(lock) == heir,
        }


def race_for_a_run(folder: Path) -> dict[str, Any]:
    """Eight make the same run, then four write a shard each."""
    made = exit_codes(at_once([lambda: new_run(folder / "abc")] * 8))
    run = Run(folder / "abc")
    bodies = [
        lambda shard=shard: train(run, shard, REPLICAS[shard : shard + 1]) for shard in range(4)
    ]
    wrote = exit_codes(at_once(bodies))
    return {
        "made": made,
        "wrote": wrote,
        "found": sorted(path.name for path in folder.iterdir()),
        "replicas": len(run.replicas()),
        "rows": [checked(run, name) for name in TABLES],
    }


def run_out_of_file_size(folder: Path) -> dict[str, Any]:
    """A file may not grow beyond 8 KiB for a while."""
    run = new_run(folder / "abc")
    train(run, 0, REPLICAS, end=24)
    before = checked(run, "evaluation")
    wide = np.arange(4000)

    def too_much() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
        writer = ShardWriter(run.folder / "shards" / "1", run.run_id, TABLES, 0)
        writer.append("evaluation", wide, np.zeros_like(wide), measured(wide, 0))
        writer.flush(1)

    codes = exit_codes([fork(too_much)])
    found = {"codes": codes, **_after_a_refusal(run, before)}
    train(run, 0, REPLICAS)
    return {**found, "later": checked(run, "evaluation")}


def run_out_of_disk(folder: Path) -> dict[str, Any]:
    """`folder` is a file system of 1 MiB that another file fills; then that file is removed."""
    run = new_run(folder / "abc")
    train(run, 0, REPLICAS, end=24)
    before = checked(run, "evaluation")
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    codes = exit_codes(
        [
            fork(lambda: train(run, 0, REPLICAS)),
            fork(lambda: update_manifest(run.folder, status="done")),
            fork(lambda: new_run(folder / "def")),
        ]
    )
    found = {"codes": codes, **_after_a_refusal(run, before)}
    ballast.unlink()
    train(run, 0, REPLICAS)
    return {**found, "later": checked(run, "evaluation")}


def _after_a_refusal(run: Run, before: int) -> dict[str, Any]:
    """What a reader finds then."""
    return {
        "intact": checked(run, "evaluation") == before and len(run.replicas()) == len(REPLICAS),
        "status": run.status,
        "unfinished": [str(path) for path in run.folder.parent.rglob(TEMPORARY)],
    }


def meet_a_read_only_folder(folder: Path) -> dict[str, Any]:
    """A run on a file system that became read-only, or whose folders became another user's."""
    run = new_run(folder / "abc")
    train(run, 0, REPLICAS, end=24)
    before = checked(run, "evaluation")
    if can_mount():
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    else:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)

    def hold() -> None:
        with own(run.folder / "owner.lock"):
            pass

    def as_nobody(body: Callable[[], Any]) -> Callable[[], Any]:
        # root may write everywhere, nobody may not
        return lambda: (os.geteuid() == 0 and os.seteuid(65534), body())

    bodies = (
        lambda: train(run, 0, REPLICAS),
        lambda: train(run, 1, REPLICAS),
        lambda: update_manifest(run.folder, status="done"),
        lambda: new_run(folder / "def"),
        hold,
    )
    codes = exit_codes([fork(body if can_mount() else as_nobody(body)) for body in bodies])
    return {"codes": codes, **_after_a_refusal(run, before)}


def can_mount() -> bool:
    """Whether this user may mount a file system of its own, which no other process sees."""
    try:
        probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return probe.returncode == 0


def serve() -> None:
    """For each line of stdin, a body, a folder and whether to mount: answer beside the folder."""
    for line in sys.stdin:
        name, folder, mounted = json.loads(line)
        place = Path(folder)

        def body(name: str = name, place: Path = place) -> None:
            said = os.open(place.with_name("said"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.dup2(said, sys.stderr.fileno())
            try:
                write_json(place.with_name("answer.json"), globals()[name](place))
            except BaseException:
                traceback.print_exc()
                raise

        place.mkdir()
        if mounted:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
        codes = exit_codes([fork(body)])
        if mounted:
            subprocess.run(["umount", folder], check=True)
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


class Server:
    """A process that has imported everything, so that its children start at once."""

    def __init__(self) -> None:
        apart = ["unshare", "--mount"] if can_mount() else []
        self.process = subprocess.Popen(
            [*apart, sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(
        self, body: Callable[[Path], dict[str, Any]], *, mounted: bool = False
    ) -> tuple[dict[str, Any], str]:
        """The answer of `body`, and what its processes said on stderr.

        Args:
            body: Given a new, empty folder.
            mounted: Whether the folder is a file system of its own, of 1 MiB.
        """
        assert self.process.stdin
        assert self.process.stdout
        with tempfile.TemporaryDirectory() as place:
            Path(place).chmod(0o755)
            request = [body.__name__, str(Path(place) / "folder"), mounted]
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            code = self.process.stdout.readline()
            said = (Path(place) / "said").read_text()
            assert code == "[0]\n", said
            return read_json(Path(place) / "answer.json"), said

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


def test_of_many_starts_one_wins_and_a_dead_owner_is_followed(server: Server) -> None:
    found, said = server(race_for_a_lock)
    assert found["losers"] == [BusyError.exit_code] * 11
    assert said.count(f"process {found['winner']} on ") == 11
    assert found["alone"]
    assert found["killed"] == [-signal.SIGKILL]
    assert found["left_by_the_dead"] == found["winner"]
    assert found["heir"]


def test_a_run_is_made_once_and_its_shards_are_written_together(server: Server) -> None:
    found, said = server(race_for_a_run)
    assert (found["made"], found["wrote"]) == ([0] * 8, [0] * 4), said
    assert found["found"] == ["abc"]
    assert found["replicas"] == len(REPLICAS)
    assert found["rows"] == [END * len(REPLICAS), END // PROBE_EVERY * len(REPLICAS)]


FULL = [(run_out_of_file_size, False, "size limit")]
if can_mount():
    FULL.append((run_out_of_disk, True, "disk is full"))


@pytest.mark.parametrize(("body", "mounted", "words"), FULL)
def test_a_full_disk_is_said_and_costs_nothing(
    server: Server, body: Callable[[Path], dict[str, Any]], mounted: bool, words: str
) -> None:
    found, said = server(body, mounted=mounted)
    assert found["codes"] == [StoreError.exit_code] * len(found["codes"]), said
    assert said.count(words) == said.count("is intact") == len(found["codes"])
    assert found["intact"]
    assert found["unfinished"] == []
    assert found["status"] == "interrupted"
    assert found["later"] == END * len(REPLICAS)


@pytest.mark.slow
def test_a_read_only_folder_is_said_and_can_be_read(server: Server) -> None:
    mounted = can_mount()
    found, said = server(meet_a_read_only_folder, mounted=mounted)
    assert found["codes"] == [StoreError.exit_code] * 5, said
    assert said.count("read-only" if mounted else "permission denied") == 5, said
    assert found["intact"]
    assert found["unfinished"] == []
    assert found["status"] == "interrupted"


if __name__ == "__main__":
    serve()

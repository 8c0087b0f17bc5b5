"""What a terminal shows of a run while it trains."""

from observatory.launch.display import summary


def shard(steps: int) -> dict[str, object]:
    return {
        "status": "running", "replica_steps": steps, "steps_left": 7200, "wall_s": 10.0,
        "finished": 0, "active": 1, "queued": 0,
    }  # fmt: skip


def test_no_time_is_named_before_there_is_a_speed() -> None:
    assert "left" not in summary([shard(0)], 1.0)
    assert "at most 72 s left" in summary([shard(1000), shard(0)], 1.0)

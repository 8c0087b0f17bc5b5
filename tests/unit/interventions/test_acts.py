"""What every act and hold changes, and what it leaves, on rows of two small networks."""

from typing import Any

import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.core.layout import Layout
from observatory.interventions.contract import Act, Acted, Hold
from observatory.interventions.freeze import Freeze
from observatory.interventions.hold_norm import HoldNorm
from observatory.interventions.moments import AtEvent, AtStep
from observatory.interventions.noise import Noise
from observatory.interventions.parts import PartNames
from observatory.interventions.reinitialise import Reinitialise
from observatory.interventions.rescale import Rescale
from observatory.interventions.shuffle import Shuffle

SHAPES = (torch.Size([3, 4]), torch.Size([4, 2]), torch.Size([4]))
PARTS = PartNames(
    Layout(("W_E", "W_U", "b"), SHAPES, ("embedding", "readout", "pointwise")),
    {"left": {"W_E": (slice(None), slice(0, 2)), "b": (slice(0, 2),)}},
)
N = 24
ACTS: list[Act] = [
    Reinitialise(part="left"),
    Reinitialise(part="left", own=True),
    Rescale(part="left", factor=3.0),
    Shuffle(part="left"),
    Noise(like=Reinitialise(part="left")),
]
HOLDS: list[Hold] = [
    Freeze(part="left"),
    HoldNorm(part="left", ratio=0.5),
    HoldNorm(part="left", ratio=0.5, only="above"),
]


def row(seed: int) -> torch.Tensor:
    return torch.randn(N, generator=torch.Generator().manual_seed(seed))


def replica() -> Acted:
    return Acted(
        flat=row(0),
        optimizer={"m": row(1), "count": torch.tensor([7.0])},
        parts=PARTS,
        rng=torch.Generator().manual_seed(2),
        drawn=lambda rng: torch.randn(N, generator=rng),
        first=row(3),
    )


def name(each: Any) -> str:
    return type(each).__name__


@pytest.mark.parametrize("act", ACTS, ids=name)
def test_an_act_changes_its_part_alone_and_nothing_at_strength_0(act: Act) -> None:
    left = PARTS.entries("left")
    assert left.sum() == 8
    acted = replica()
    act.act(acted, 0.0)
    assert torch.equal(acted.flat, row(0))
    assert torch.equal(acted.optimizer["m"], row(1))
    act.act(acted := replica(), 1.0)
    changed = acted.flat != row(0)
    assert changed[left].all()
    assert not changed[~left].any()
    assert torch.equal(acted.optimizer["m"][~left], row(1)[~left])
    assert acted.optimizer["count"].tolist() == [7.0]


def test_what_is_drawn_anew_is_a_draw_of_its_own_or_the_replicas_first() -> None:
    left, anew, own = PARTS.entries("left"), replica(), replica()
    Reinitialise(part="left").act(anew, 1.0)
    fresh = torch.randn(N, generator=torch.Generator().manual_seed(2))
    assert torch.equal(anew.flat[left], fresh[left])
    assert not anew.optimizer["m"][left].any()
    Reinitialise(part="left", own=True).act(own, 1.0)
    assert torch.equal(own.flat[left], row(3)[left])
    half = replica()
    Reinitialise(part="left", own=True).act(half, 0.5)
    torch.testing.assert_close(half.flat[left], (row(0)[left] + row(3)[left]) / 2)


def test_noise_moves_every_weight_as_far_as_its_like_in_another_direction() -> None:
    like, noise = replica(), replica()
    Reinitialise(part="left", own=True).act(like, 0.7)
    Noise(like=Reinitialise(part="left", own=True)).act(noise, 0.7)
    for weight in ("W_E", "b"):
        entries = PARTS.entries(weight)
        one, other = (each.flat[entries] - row(0)[entries] for each in (like, noise))
        torch.testing.assert_close(one.norm(), other.norm())
        assert not torch.allclose(one, other, rtol=0.01)
    assert torch.equal(like.optimizer["m"], noise.optimizer["m"])


def test_a_shuffle_keeps_the_entries_of_every_weight_and_moves_its_share() -> None:
    acted = replica()
    Shuffle(part="*").act(acted, 0.5)
    start = 0
    for size in PARTS.layout.sizes:
        one, other = (each[start : start + size] for each in (row(0), acted.flat))
        assert sorted(one.tolist()) == sorted(other.tolist())
        assert (one != other).sum() == size // 2
        start += size


@pytest.mark.parametrize("hold", HOLDS, ids=name)
def test_a_hold_acts_on_every_replica_by_itself(hold: Hold) -> None:
    left = PARTS.entries("left")
    before, after = (torch.stack([row(s) for s in seeds]) for seeds in ((4, 5, 6), (7, 8, 9)))
    target = torch.stack([hold.target(row(s), left) for s in (10, 11, 12)])
    strength = torch.tensor([[0.0], [0.4], [1.0]])
    held = hold.hold(before, after, strength, target, left)
    assert torch.equal(held[0], after[0])
    assert torch.equal(held[:, ~left], after[:, ~left])
    assert (held[1:, left] != after[1:, left]).all()
    for i in range(3):
        rows = slice(i, i + 1)
        alone = hold.hold(before[rows], after[rows], strength[rows], target[rows], left)
        assert torch.equal(held[rows], alone)


def test_what_is_frozen_stays_and_a_held_norm_is_a_multiple_of_the_first() -> None:
    left, full = PARTS.entries("left"), torch.ones(1, 1)
    before, after, first = row(4)[None], row(7)[None], row(10)
    freeze, norm = Freeze(part="left"), HoldNorm(part="left", ratio=0.5)
    frozen = freeze.hold(before, after, full, freeze.target(first, left)[None], left)
    assert torch.equal(frozen[:, left], before[:, left])
    target = norm.target(first, left)[None]
    held = norm.hold(before, after, full, target, left)
    torch.testing.assert_close(held[0, left].norm(), 0.5 * first[left].norm())
    clip = HoldNorm(part="left", ratio=0.5, only="above")
    small = torch.where(left, 0.01 * after, after)
    assert torch.equal(clip.hold(before, small, full, target, left), small)


def test_a_part_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"got 'lefd'. It has W_E, W_U, b, left. .*left"):
        PARTS.entries("lefd")


def test_moments_come_at_a_look() -> None:
    assert not AtStep(step=50).come(49, lambda _: None)
    assert AtStep(step=50).come(75, lambda _: None)
    after = AtEvent(event="mem", after=100)
    assert not after.come(500, lambda _: None)
    assert not after.come(175, {"mem": 100}.get)
    assert after.come(200, {"mem": 100}.get)

"""What every act and hold changes, and what it leaves, on rows of two small networks."""

from typing import Any

import pytest
import torch
import yaml

from observatory.core.errors import ConfigError
from observatory.core.layout import Layout
from observatory.fleet.arms import part_names
from observatory.interventions.add_task_vector import AddTaskVector
from observatory.interventions.clamp_channel import ClampChannel
from observatory.interventions.contract import Act, Acted, Given, Hold, Place, Setting, between
from observatory.interventions.donor import Donor
from observatory.interventions.fourier_embedding import FourierEmbedding, waves
from observatory.interventions.freeze import Freeze
from observatory.interventions.frequencies import Frequencies
from observatory.interventions.hold_norm import HoldNorm
from observatory.interventions.logit_scale import LogitScale
from observatory.interventions.moments import AtEvent, AtPeak, AtStep, FirstOf, Seen, plain
from observatory.interventions.moved_donor import MovedDonor
from observatory.interventions.noise import Noise
from observatory.interventions.parts import PartNames
from observatory.interventions.random_donor import RandomDonor
from observatory.interventions.rate import Rate
from observatory.interventions.reinitialise import Reinitialise
from observatory.interventions.rescale import Rescale
from observatory.interventions.shuffle import Shuffle
from observatory.interventions.transplant import Transplant
from observatory.launch.overrides import CONF
from observatory.maths.fourier import token_power
from tests.small_networks import network_of

SHAPES = (torch.Size([3, 4]), torch.Size([4, 2]), torch.Size([4]))
PARTS = PartNames(
    Layout(("W_E", "W_U", "b"), SHAPES, ("embedding", "readout", "pointwise")),
    {"left": {"W_E": (slice(None), slice(0, 2)), "b": (slice(0, 2),)}},
)
N = 24
DONOR = Donor(study="other", run=None, replica=3, outcome=None, step=None)
ACTS: list[Act] = [
    Reinitialise(part="left"),
    Reinitialise(part="left", own=True),
    Rescale(part="left", factor=3.0),
    Shuffle(part="left"),
    Noise(like=Reinitialise(part="left")),
    Transplant(part="left", donor=DONOR),
    RandomDonor(like=Transplant(part="left", donor=DONOR)),
    AddTaskVector(part="left", donor=DONOR, since=0),
]
HOLDS: list[Hold] = [
    Freeze(part="left"),
    HoldNorm(part="left", ratio=0.5),
    HoldNorm(part="left", ratio=0.5, only="above"),
    HoldNorm(part="left", ratio=0.5, of="moment"),
    ClampChannel(part="left", times=0.1),
]
GIVE_W_E = Transplant(part="W_E", donor=DONOR)
LEFT = Place(PARTS.entries("left"), PARTS.layout)


def row(seed: int) -> torch.Tensor:
    return torch.randn(N, generator=torch.Generator().manual_seed(seed))


def replica(flat: int = 0, first: int = 3) -> Acted:
    return Acted(
        flat=row(flat),
        optimizer={"m": row(1), "count": torch.tensor([7.0])},
        parts=PARTS,
        rng=torch.Generator().manual_seed(2),
        drawn=lambda rng: torch.randn(N, generator=rng),
        first=row(first),
        donated=row(4).double(),
        modulus=3,
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


def test_noise_is_like_an_act_alone() -> None:
    hold = Frequencies(part="W_E", most=1, which="strongest", keep=False)
    rate = Rate(name="lr", to=1.0)
    for like in (hold, rate):
        with pytest.raises(ConfigError, match=f"`like` must be an act, .* got {name(like)}"):
            Noise(like=like)


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
    target = torch.stack([hold.target(replica(s, s)) for s in (10, 11, 12)])
    strength = torch.tensor([[0.0], [0.4], [1.0]])
    held = hold.hold(before, after, strength, target, LEFT)
    assert torch.equal(held[0], after[0])
    assert torch.equal(held[:, ~left], after[:, ~left])
    assert (held[1:, left] != after[1:, left]).all()
    for i in range(3):
        rows = slice(i, i + 1)
        alone = hold.hold(before[rows], after[rows], strength[rows], target[rows], LEFT)
        assert torch.equal(held[rows], alone)


def test_what_is_frozen_stays_and_a_held_norm_is_a_multiple_of_the_first() -> None:
    left, full = PARTS.entries("left"), torch.ones(1, 1)
    before, after, first = row(4)[None], row(7)[None], row(10)
    freeze, norm = Freeze(part="left"), HoldNorm(part="left", ratio=0.5)
    frozen = freeze.hold(before, after, full, freeze.target(replica())[None], LEFT)
    assert torch.equal(frozen[:, left], before[:, left])
    target = norm.target(replica(0, 10))[None]
    held = norm.hold(before, after, full, target, LEFT)
    torch.testing.assert_close(held[0, left].norm(), 0.5 * first[left].norm())
    clip = HoldNorm(part="left", ratio=0.5, only="above")
    small = torch.where(left, 0.01 * after, after)
    assert torch.equal(clip.hold(before, small, full, target, LEFT), small)


def test_a_part_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"got 'lefd'. It has W_E, W_U, b, left. .*left"):
        PARTS.entries("lefd")


def test_a_donor_gives_its_entries_and_a_random_one_their_norms_alone() -> None:
    left, given, random = PARTS.entries("left"), replica(), replica()
    Transplant(part="left", donor=DONOR).act(given, 1.0)
    assert torch.equal(given.flat[left], row(4)[left])
    assert not given.optimizer["m"][left].any()
    RandomDonor(like=Transplant(part="left", donor=DONOR)).act(random, 1.0)
    for weight in ("W_E", "b"):
        own = PARTS.entries(weight) & left
        torch.testing.assert_close(random.flat[own].norm(), row(4)[own].norm())
        assert not torch.allclose(random.flat[own], row(4)[own], rtol=0.01)
    with pytest.raises(ConfigError, match="act with a donor"):
        RandomDonor(like=Shuffle(part="left"))


def test_a_task_vector_is_added_times_the_strength_and_a_donor_of_another_kind_refuses_it() -> None:
    vector, added, control = AddTaskVector(part="*", donor=DONOR, since=0), replica(), replica()
    vector.act(added, 0.3)
    torch.testing.assert_close(added.flat, row(0) + 0.3 * row(4))
    assert torch.equal(added.optimizer["m"], row(1))
    noise = Noise(like=vector)
    assert (noise.donor, noise.since) == (DONOR, 0)
    noise.act(control, 0.3)
    torch.testing.assert_close((control.flat - row(0))[:12].norm(), 0.3 * row(4)[:12].norm())
    with pytest.raises(ConfigError, match="act with a donor's weights"):
        RandomDonor(like=vector)
    with pytest.raises(ConfigError, match="act with a donor's weights"):
        MovedDonor(like=vector, how="permuted")
    with pytest.raises(ConfigError, match="`since` must be a whole number"):
        AddTaskVector(part="*", donor=DONOR, since=-1)


@pytest.mark.parametrize("how", ["permuted", "rotated"])
def test_a_moved_donor_keeps_its_singular_values_and_loses_or_keeps_its_angles(how: Any) -> None:
    act, given, nothing = MovedDonor(like=GIVE_W_E, how=how), replica(), replica()
    act.check(PARTS, None)
    act.act(nothing, 0.0)
    assert torch.equal(nothing.flat, row(0))
    assert torch.equal(nothing.optimizer["m"], row(1))
    act.act(given, 1.0)
    theirs, ours = row(4)[:12].reshape(3, 4), given.flat[:12].reshape(3, 4)
    assert torch.equal(given.flat[12:], row(0)[12:])
    assert not given.optimizer["m"][:12].any()
    torch.testing.assert_close(torch.linalg.svdvals(ours), torch.linalg.svdvals(theirs))
    assert not torch.allclose(ours, theirs, rtol=0.01)
    assert torch.allclose(ours @ ours.T, theirs @ theirs.T, rtol=1e-4) == (how == "rotated")
    assert (sorted(ours[:, 0].tolist()) == sorted(theirs[:, 0].tolist())) == (how == "permuted")


def test_a_donor_whose_rows_cannot_be_moved_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`part` must be whole matrices, .* entries of W_E"):
        MovedDonor(like=Transplant(part="left", donor=DONOR), how="permuted").check(PARTS, None)
    with pytest.raises(ConfigError, match="entries of b"):
        MovedDonor(like=Transplant(part="b", donor=DONOR), how="permuted").check(PARTS, None)
    with pytest.raises(ConfigError, match="act with a donor"):
        MovedDonor(like=Shuffle(part="W_E"), how="permuted")


def test_all_but_what_goes_on_learning_is_frozen() -> None:
    freeze = Freeze(part="*", but="left")
    left = PARTS.entries("left")
    before, after = row(4)[None], row(7)[None]
    place = Place(PARTS.entries("*"), PARTS.layout)
    target = freeze.target(replica())[None]
    held = freeze.hold(before, after, torch.ones(1, 1), target, place)
    assert torch.equal(held, torch.where(left, after, before))
    assert torch.equal(freeze.hold(before, after, torch.zeros(1, 1), target, place), after)
    for but, says in (("lefd", "`but` must name a weight .* got 'lefd'"), ("*", "leave something")):
        with pytest.raises(ConfigError, match=says):
            Freeze(part="*", but=but).check(PARTS, None)


@pytest.mark.parametrize(
    ("model", "learn_on"),
    [("mlp", {"b_in"}), ("transformer", {"b_in", "b_out"}), ("gated", {"b_in", "b_out", "b_gate"})],
)
def test_the_biases_of_every_mlp_learn_alone(model: str, learn_on: set[str]) -> None:
    gated = model == "gated"
    preset = "transformer" if gated else model
    network = network_of(preset, p=5, n_operands=2, **({"gated": True} if gated else {}))
    own = yaml.safe_load((CONF / "arms" / "biases_alone.yaml").read_text("utf-8"))
    but, parts = own["biases_alone"]["intervention"]["but"], part_names(network)
    Freeze(part="*", but=but).check(parts, None)
    views = parts.layout.views(parts.entries(but).double()[None])
    assert {name.rsplit(".", 1)[1] for name, free in views.items() if free.any()} == learn_on
    assert all(free.any() == free.all() for free in views.values())


def embedding(p: int, width: int, seed: int) -> Acted:
    """A replica with one weight: the embedding of p symbols and of a query token."""
    layout = Layout(("W_E",), (torch.Size([p + 1, width]),), ("embedding",))
    flat = torch.randn((p + 1) * width, generator=torch.Generator().manual_seed(seed))
    rng = torch.Generator().manual_seed(1)
    parts = PartNames(layout, {})
    return Acted(flat, {}, parts, rng, lambda _: flat, flat, donated=None, modulus=p)


@pytest.mark.parametrize("keep", [False, True])
def test_frequencies_are_taken_from_symbols_alone(keep: bool) -> None:
    p, width = 13, 4
    acted = embedding(p, width, 0)
    place = Place(acted.parts.entries("W_E"), acted.parts.layout)
    power = token_power(acted.flat.reshape(p + 1, width)[:p]).sum(dim=-1)
    strongest = set(power.topk(2).indices.tolist())
    found = {}
    for which in ("strongest", "others"):
        hold = Frequencies(part="W_E", most=2, which=which, keep=keep)
        target = hold.target(acted)[None]
        after = embedding(p, width, 5).flat[None]
        full = torch.ones(1, 1)
        held = hold.hold(after, after, full, target, place).reshape(p + 1, width)
        assert torch.equal(held[p], after.reshape(p + 1, width)[p])
        was = after.reshape(p + 1, width)[:p]
        torch.testing.assert_close(held[:p].mean(dim=0), was.mean(dim=0))
        left, before = token_power(held[:p]).sum(dim=-1), token_power(was).sum(dim=-1)
        gone = set((left < 1e-6 * before).nonzero()[:, 0].tolist())
        found[which] = set(range(p // 2)) - gone if keep else gone
        others = [k for k in range(p // 2) if k not in gone]
        torch.testing.assert_close(left[others], before[others])
        assert torch.equal(hold.hold(after, after, 0 * full, target, place), after)
    assert found["strongest"] == strongest
    assert len(found["others"]) == 2
    assert not found["others"] & strongest


@pytest.mark.parametrize("width", [4, 5])
def test_an_embedding_of_waves_has_the_norm_and_the_query_row_of_before(width: int) -> None:
    p, act = 13, FourierEmbedding(part="W_E", sigma=0.1)
    first, given = (embedding(p, width, 0) for _ in range(2))
    act.check(given.parts, p)
    act.act(given, 0.0)
    assert torch.equal(given.flat, first.flat)
    act.act(given, 1.0)
    before, after = (each.flat.reshape(p + 1, width) for each in (first, given))
    assert torch.equal(before[p], after[p])
    torch.testing.assert_close(after[:p].norm(), before[:p].norm())
    power = token_power(after[:p]).sum(dim=-1)
    assert power[0] > 0.99 * power.sum()  # frequency 1 alone
    ratio = after[:p, 0] / after[0, 0]
    turns = 2 * torch.pi / p * torch.arange(p)
    torch.testing.assert_close(ratio, turns.cos(), atol=1e-5, rtol=0)


def test_frequencies_of_waves_are_as_large_as_asked_for_and_below_the_half() -> None:
    rng = torch.Generator().manual_seed(0)
    power = token_power(waves(31, 400, 3.0, rng)).sum(dim=-1)
    mean = float((power * torch.arange(1, 16)).sum() / power.sum())
    assert mean == pytest.approx(2.5, abs=0.4)  # E |N| = 2.39, raised by those below 1
    power = token_power(waves(31, 400, 1000.0, rng)).sum(dim=-1)
    assert power[-1] > 0.9 * power.sum()


@pytest.mark.parametrize(("part", "modulus"), [("W_E", None), ("W_U", 3)])
def test_waves_of_what_embeds_no_residues_are_refused(part: str, modulus: int | None) -> None:
    layout = Layout(("W_E", "W_U"), (torch.Size([3, 4]), torch.Size([2, 4])), ("embedding",) * 2)
    with pytest.raises(ConfigError, match=r"`task` must add|row for each of the 3 symbols"):
        FourierEmbedding(part=part, sigma=1.0).check(PartNames(layout, {}), modulus)
    with pytest.raises(ConfigError, match="`sigma` must be a positive number"):
        FourierEmbedding(part=part, sigma=0.0)


@pytest.mark.parametrize(
    ("part", "modulus", "most", "says"),
    [
        ("W_E", None, 1, "`task` must add"),
        ("W_U", 3, 1, "row for each of the 3 symbols"),
        ("W_E", 3, 2, "at most 1"),
    ],
)
def test_frequencies_of_what_has_none_are_refused(
    part: str, modulus: int | None, most: int, says: str
) -> None:
    layout = Layout(("W_E", "W_U"), (torch.Size([3, 4]), torch.Size([2, 4])), ("embedding",) * 2)
    hold = Frequencies(part=part, most=most, which="strongest", keep=False)
    with pytest.raises(ConfigError, match=says):
        hold.check(PartNames(layout, {}), modulus)


def test_the_channel_that_is_clamped_is_the_largest_at_the_moment() -> None:
    channels = {f"c.{i}": {"W_E": (slice(None), slice(i, i + 1))} for i in range(4)}
    parts = PartNames(Layout(("W_E",), (torch.Size([3, 4]),), ("embedding",)), channels)
    flat = torch.tensor([1.0, 9.0, 2.0, 3.0]).repeat(3)
    acted = Acted(flat, {}, parts, torch.Generator(), lambda _: flat, flat, donated=None, modulus=3)
    clamp = ClampChannel(part="c.*", times=1.0)
    after = 10 * torch.ones(1, 12)
    place, full = Place(parts.entries("W_E"), parts.layout), torch.ones(1, 1)
    held = clamp.hold(after, after, full, clamp.target(acted)[None], place).reshape(3, 4)
    torch.testing.assert_close(held[0], torch.tensor([10.0, 2.0, 10.0, 10.0]))


OWN = Given(lr=0.01, weight_decay=0.5, logit_scale=1.0)


@pytest.mark.parametrize(
    ("setting", "half", "full"),
    [
        (Rate(name="weight_decay", to=0.0), OWN._replace(weight_decay=0.25), 0.0),
        (Rate(name="weight_decay", times=4.0), OWN._replace(weight_decay=1.0), 2.0),
        (Rate(name="lr", to=0.04), OWN._replace(lr=0.02), 0.04),
        (LogitScale(factor=0.25), OWN._replace(logit_scale=0.5), 0.25),
    ],
    ids=name,
)
def test_a_setting_changes_one_number_and_none_at_strength_0(
    setting: Setting, half: Given, full: float
) -> None:
    assert setting.changed(OWN, 0.0) == OWN
    assert setting.changed(OWN, 0.5) == pytest.approx(half)
    changed = setting.changed(OWN, 1.0)
    assert [b for a, b in zip(OWN, changed, strict=True) if a != b] == [full]
    assert between(0.0, 2.0, 0.5) == 1.0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": "lr", "to": 0.0}, "Freeze"),
        ({"name": "weight_decay"}, "one of them only"),
        ({"name": "weight_decay", "to": 1.0, "times": 2.0}, "one of them only"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Rate(**given)


def seen(step: int, event: int | None = None, signal: list[float] | None = None) -> Seen:
    values = signal or []
    return Seen(step, lambda _: event, lambda _: (range(0, 10 * len(values), 10), values))


def test_moments_come_at_a_look() -> None:
    assert not AtStep(step=50).come(seen(49))
    assert AtStep(step=50).come(seen(75))
    after = AtEvent(event="mem", after=100)
    assert not after.come(seen(500))
    assert not after.come(seen(175, 100))
    assert after.come(seen(200, 100))


def test_a_peak_is_known_once_the_signal_has_fallen_and_not_before() -> None:
    peak, nan = AtPeak(signal="sigma_h", fall=0.1), float("nan")
    values = [0.2, 0.5, nan, 1.0, 0.95, 0.91, 0.89, 1.2]
    come = [peak.come(seen(0, signal=values[: n + 1])) for n in range(len(values))]
    assert come == [False, False, False, False, False, False, True, False]
    assert not peak.come(seen(0))
    assert not peak.come(seen(0, signal=[-1.0, -2.0]))
    late = AtPeak(signal="sigma_h", fall=0.1, after=20)
    assert not late.come(seen(0, signal=[5.0, 0.5, 1.0, 1.1]))
    first = FirstOf(moments=[peak, AtStep(step=50)])
    assert first.come(seen(50))
    assert not first.come(seen(49))
    assert plain(first) == [peak, first.moments[1]]
    with pytest.raises(ConfigError, match="list of moments"):
        FirstOf(moments=[])

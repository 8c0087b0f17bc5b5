"""What low precision would do: errors, changes of loss, their standard errors, and no trace."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import observatory
from observatory.core.errors import ConfigError
from observatory.watch.low_precision.batch_loss import SequenceLosses, change, labels_of, losses
from observatory.watch.low_precision.look import low_precision, named_transforms
from observatory.watch.low_precision.operands import Part
from observatory.watch.low_precision.products import visiting
from observatory.watch.low_precision.substitute import Calibration, Replacing
from observatory.watch.low_precision.transforms import FixedIntegers, InputIntegers, Seen, Transform
from tests.small_networks import PRESETS, network_of


@dataclass(frozen=True)
class Unchanged:
    """Leaves all as it is."""

    gated_only: bool = False

    def calibrate(self, seen: Seen) -> None:
        return None

    def apply(self, seen: Seen, calibrated: Any) -> Part:
        return Part(seen.x, seen.w)


class Language(nn.Module):
    """A small gated network over tokens `[batch, pos]`."""

    def __init__(self, gated: bool = True) -> None:
        super().__init__()
        self.gated = gated
        self.embed, self.mix = nn.Embedding(11, 16), nn.Linear(16, 16)
        self.gate, self.up, self.down = nn.Linear(16, 40), nn.Linear(16, 40), nn.Linear(40, 16)
        self.drop, self.norm = nn.Dropout(0.2), nn.LayerNorm(16)
        self.unembed = nn.Linear(16, 11, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        h = h + self.mix(h.cumsum(1) / torch.arange(1, h.shape[1] + 1)[:, None])
        hidden = F.silu(self.gate(h))
        h = h + self.down(hidden * self.up(h) if self.gated else hidden)
        return self.unembed(self.norm(self.drop(h)))


@pytest.fixture
def model() -> Language:
    torch.manual_seed(3)
    return Language()


TOKENS = torch.randint(11, (6, 9), generator=torch.Generator().manual_seed(1))


@pytest.mark.slow
def test_every_transform_leaves_the_model_as_it_was(model: Language) -> None:
    model.train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    versions = [parameter._version for parameter in model.parameters()]
    random = torch.get_rng_state()
    found = low_precision(model, TOKENS, labels="next_token")
    assert not found.refused
    assert set(found.errors) == set(named_transforms())
    assert found.unseen == ("embed.weight",)
    assert found.readout == "unembed.weight"
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert versions == [parameter._version for parameter in model.parameters()]
    assert torch.equal(random, torch.get_rng_state())
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    frame = found.frame()
    assert len(frame) == 2 * len(found.errors)
    assert frame.notna().all(axis=None)
    assert (frame["output_error_median"] <= frame["output_error_max"]).all()
    again = low_precision(model, TOKENS, labels="next_token", transforms=["wina_25"])
    once = low_precision(model, TOKENS, labels="next_token", transforms=["wina_25"])
    assert again.frame().equals(once.frame())


def test_what_changes_nothing_changes_no_loss(model: Language) -> None:
    found = low_precision(model, TOKENS, labels="next_token", transforms={"none": Unchanged()})
    (row,) = found.frame().query("scope == 'all'").to_dict("records")
    # On some CPUs the same product rounds otherwise where its operands begin elsewhere in memory.
    for name in ("output_error_max", "loss_change", "se", "noise_change"):
        assert row[name] == pytest.approx(0.0, abs=1e-6)
    with torch.no_grad():
        logits = model.eval()(TOKENS)
    wanted = F.cross_entropy(logits[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten())
    assert found.loss == pytest.approx(float(wanted), rel=1e-6)
    assert found.n_sequences == 6


def test_the_change_of_loss_is_that_of_the_changed_model(model: Language) -> None:
    kind = InputIntegers(bits=3, per="token", group=None)
    found = low_precision(model, TOKENS, labels="next_token", transforms={"three": kind})

    def three(x: Tensor) -> Tensor:
        scale = x.abs().amax(-1, keepdim=True) / 3
        return (x / scale).round() * scale

    class Rounded(Language):
        def forward(self, x: Tensor) -> Tensor:
            h = self.embed(x)
            h = h + self.mix(three(h.cumsum(1) / torch.arange(1, h.shape[1] + 1)[:, None]))
            hidden = F.silu(self.gate(three(h))) * self.up(three(h))
            h = h + self.down(three(hidden))
            return self.unembed(three(self.norm(h)))

    rounded = Rounded()
    rounded.load_state_dict(model.state_dict())
    with torch.no_grad():
        labels = labels_of("next_token", TOKENS, model.eval()(TOKENS))
        wanted = change(losses(model(TOKENS), labels), losses(rounded(TOKENS), labels))
    own, _ = found.changes["three", "all"]
    assert own.mean == pytest.approx(wanted.mean, abs=1e-6)
    assert own.se == pytest.approx(wanted.se, rel=1e-4)
    assert abs(own.mean) > 1e-4
    assert found.changes["three", "without readout"][0].mean != own.mean


def test_the_standard_error_is_paired_and_weighted() -> None:
    before = SequenceLosses(
        torch.tensor([1.0, 2.0, 9.0]).double(), torch.tensor([4, 4, 0]).double()
    )
    after = SequenceLosses(torch.tensor([1.1, 2.4, 9.9]).double(), before.counts)
    found = change(before, after)
    assert found.mean == pytest.approx(0.25)
    assert found.se == pytest.approx(torch.tensor([0.1, 0.4]).std().item() / math.sqrt(2))
    one = SequenceLosses(before.each[:1], before.counts[:1])
    assert change(one, one).se is None
    uneven = torch.tensor([6, 2, 0]).double()
    moved = change(SequenceLosses(before.each, uneven), SequenceLosses(after.each, uneven))
    assert moved.mean == pytest.approx(0.75 * 0.1 + 0.25 * 0.4)


def test_padding_has_no_label() -> None:
    batch = {"input_ids": TOKENS[:1, :4], "attention_mask": torch.tensor([[0, 1, 1, 0]])}
    labels = labels_of("next_token", batch, torch.zeros(1, 4, 11))
    assert labels.tolist() == [[-100, int(TOKENS[0, 2]), -100, -100]]


BULK, WIDTH, ROWS = 1.0, 64, 400


class Planted(nn.Module):
    """Reads normal channels of size 1, one of which is always `massive`, by one matrix."""

    def __init__(self, massive: float) -> None:
        super().__init__()
        self.massive = massive
        self.W = nn.Parameter(torch.randn(WIDTH, 8))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, 1:], torch.full_like(x[:, :1], self.massive)], dim=1) @ self.W


@pytest.mark.parametrize("massive", [30.0, 60.0, 100.0])
@pytest.mark.parametrize("name", ["int8_tensor", "int8_token"])
def test_a_massive_channel_makes_the_error_of_int8_that_of_its_steps(
    name: str, massive: float
) -> None:
    """Steps of T/127 give errors that are uniform, with root mean square T / (127 sqrt(12)).

    The tolerance of 2 % is four standard errors of a mean square of 400 x 63 uniform errors, 0.9 %
    of their sum, and what the steps' size against the bulk leaves of uniformity.
    """
    torch.manual_seed(0)
    found = low_precision(Planted(massive), torch.randn(ROWS, WIDTH), transforms=[name])
    (site,) = found.sites().to_dict("records")
    step = massive / 127
    power = ((WIDTH - 1) * BULK + massive**2) / WIDTH
    predicted = math.sqrt((WIDTH - 1) / WIDTH * step**2 / 12 / power)
    assert site["inputs"] == pytest.approx(predicted, rel=0.02)
    without = low_precision(Planted(1.0), torch.randn(ROWS, WIDTH), transforms=[name])
    bulk_error = site["inputs"] * math.sqrt(power)
    assert bulk_error > 5 * without.sites()["inputs"][0]


def test_a_channel_of_a_thousand_rounds_the_bulk_to_nothing_and_groups_save_it() -> None:
    torch.manual_seed(0)
    model, x = Planted(1500.0), torch.randn(ROWS, WIDTH)
    found = low_precision(model, x, transforms=["int8_tensor", "int4_groups"])
    whole, grouped = found.sites().to_dict("records")
    bulk = x[:, 1:].abs().sum() / (x[:, 1:].abs().sum() + ROWS * 1500.0)
    assert whole["inputs_mae"] == pytest.approx(float(bulk), rel=1e-3)  # all of it is lost
    # of two groups of 32 one holds the massive channel and is rounded to nothing; INT4 itself
    # moves the other's entries by 9 % of their size
    assert grouped["inputs_mae"] == pytest.approx(
        float(bulk) * (31 / 63 + 0.09 * 32 / 63), rel=0.05
    )


def test_clipping_trades_one_massive_value_for_the_bulk() -> None:
    torch.manual_seed(0)
    x = torch.randn(ROWS, WIDTH)
    x[0, 0] = 1500.0
    names = ["int8_fixed", "int8_clipped"]
    fixed, clipped = (
        low_precision(nn.Linear(WIDTH, 8), x, transforms=names).sites().to_dict("records")
    )
    bulk = float(x.abs().sum() - 1500)
    assert fixed["inputs_mae"] == pytest.approx(bulk / (bulk + 1500), rel=0.01)  # all of it is lost
    assert clipped["inputs_mae"] < 0.1
    assert clipped["inputs"] > 0.9  # as all power is the one value's
    kind = FixedIntegers(bits=8, quantile=0.5)
    x = torch.arange(1.0, 11.0)[:, None]
    assert float(kind.calibrate(Seen(x, torch.ones(1, 1)))) == 5.0


@pytest.mark.slow
def test_a_compiled_model_is_read_as_it_is(model: Language) -> None:
    names = ["int4_token", "chess_50"]
    plain = low_precision(model, TOKENS, labels="next_token", transforms=names)
    compiled = torch.compile(model, backend="eager")
    found = low_precision(compiled, TOKENS, labels="next_token", transforms=names)
    assert found.frame().equals(plain.frame())


def test_scales_that_see_the_inputs_save_a_salient_channel() -> None:
    torch.manual_seed(0)
    found = low_precision(
        Planted(40.0), torch.randn(ROWS, WIDTH), transforms=["int3_weights", "int3_awq"]
    )
    plain, searched = found.sites()["output"]
    assert searched < 0.5 * plain
    assert set(found.sites()["inputs"]) == {0.0}


@pytest.mark.slow
def test_gates_are_needed_by_chess_alone(model: Language) -> None:
    found = low_precision(model, TOKENS, transforms=["chess_50", "cats_50", "magnitude_50"])
    sites = found.sites()
    assert set(sites.query("transform != 'magnitude_50'")["parameter"]) == {"down.weight"}
    assert set(sites.query("gated")["parameter"]) == {"down.weight"}
    plain = Language(gated=False)
    with pytest.raises(ConfigError, match=r"`chess_50` has no place here: .* reads `act"):
        low_precision(plain, TOKENS, transforms=["chess_50"])
    assert set(low_precision(plain, TOKENS).refused) == {"chess_50", "cats_50"}


@pytest.mark.parametrize("name", ["chess_50", "cats_50"])
def test_thresholds_drop_the_share_that_was_asked_for(model: Language, name: str) -> None:
    kept = Calibration(named_transforms([name])[name], 1000, None)
    shares = []
    with torch.no_grad(), visiting(dict(model.named_parameters()), kept):
        model.eval()(TOKENS)

    def count(product):
        if (parts := kept.replaced(product)) is not None:
            shares.append(float((parts[0].x == 0).double().mean()))
        return product.run()

    with torch.no_grad(), visiting(dict(model.named_parameters()), count):
        model(TOKENS)
    assert shares == [0.5]


def test_noise_is_as_large_as_the_change(model: Language) -> None:
    kept = Calibration(InputIntegers(bits=4, per="token", group=None), 1000, None)
    noisy = Replacing(kept, noise=torch.Generator().manual_seed(0))
    before, after = torch.randn(400, 50), torch.randn(400, 50)
    drawn = noisy._noisy(before, after) - before
    assert float(drawn.square().mean().sqrt()) == pytest.approx(
        float((after - before).square().mean().sqrt()), rel=0.02
    )
    assert noisy._noisy(before, before) is before


def test_numbers_of_a_transform_do_not_depend_on_which_others_are_asked_for(
    model: Language,
) -> None:
    names = ["int4_token", "int3_weights", "wina_25"]
    whole = low_precision(model, TOKENS, labels="next_token", transforms=names).frame()
    for name in names:
        alone = low_precision(model, TOKENS, labels="next_token", transforms=[name]).frame()
        beside = whole[whole["transform"] == name].reset_index(drop=True)
        assert alone.reset_index(drop=True).equals(beside), name


@pytest.mark.slow
def test_padded_rows_count_nowhere() -> None:
    torch.manual_seed(0)
    model = Language()
    names = ["int4_token", "int3_awq", "chess_50", "fp4_e2m1"]
    call = {"forward": lambda m, b: m(b["input_ids"])}
    mask = torch.ones_like(TOKENS)
    mask[:, 6:] = 0
    padded = {"input_ids": torch.where(mask == 1, TOKENS, 0), "attention_mask": mask}
    short = {"input_ids": TOKENS[:, :6], "attention_mask": mask[:, :6]}
    found = [
        low_precision(model, batch, labels="next_token", transforms=names, **call)
        for batch in (padded, short)
    ]
    assert found[0].loss == pytest.approx(found[1].loss, abs=1e-6)
    first, second = (each.sites()[["output", "inputs", "weights"]] for each in found)
    torch.testing.assert_close(
        torch.tensor(first.to_numpy()), torch.tensor(second.to_numpy()), rtol=1e-4, atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("preset", [p for p in PRESETS if p in ("transformer", "mlp", "mamba")])
def test_a_replica_of_a_fleet_is_a_model(preset: str) -> None:
    network = network_of(preset, p=7, n_operands=2)
    network.initialise(torch.Generator().manual_seed(1))
    pairs = torch.cartesian_prod(torch.arange(7), torch.arange(7))
    labels = pairs.sum(1) % 7
    own = low_precision(network, pairs, labels=labels, transforms=["int4_token"])
    params = {name: value.detach().clone() for name, value in network.named_parameters()}
    network.initialise(torch.Generator().manual_seed(2))
    other = low_precision(network, pairs, labels=labels, transforms=["int4_token"])
    given = low_precision(network, pairs, labels=labels, transforms=["int4_token"], params=params)
    assert given.frame().equals(own.frame())
    assert not given.frame().equals(other.frame())
    assert given.loss == own.loss


def test_scales_may_be_searched_on_another_batch(model: Language) -> None:
    other = torch.randint(11, (6, 9), generator=torch.Generator().manual_seed(9))
    same = low_precision(model, TOKENS, transforms=["int3_awq"], calibration=TOKENS)
    apart = low_precision(model, TOKENS, transforms=["int3_awq"], calibration=other)
    assert same.sites().equals(low_precision(model, TOKENS, transforms=["int3_awq"]).sites())
    assert not apart.sites().equals(same.sites())


def test_half_precision_is_rounded_in_a_finer_one(model: Language) -> None:
    names = ["int8_token", "fp4_e2m1", "nvfp4"]
    fine = low_precision(model, TOKENS, transforms=names).sites()["output"]
    coarse = low_precision(model.bfloat16(), TOKENS, transforms=names).sites()["output"]
    assert ((coarse - fine).abs() < 0.004 + 0.1 * fine).all()


class Convolution(nn.Module):
    """Multiplies nothing that is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def test_bad_arguments_are_named(model: Language) -> None:
    with pytest.raises(
        ConfigError, match=r"`transforms` must be among .*'int8_tokens'.*int8_token"
    ):
        low_precision(model, TOKENS, transforms=["int8_tokens"])
    with pytest.raises(ConfigError, match=r"shape of the logits .* \[6, 9\], got \[6\]"):
        low_precision(model, TOKENS, labels=TOKENS[:, 0], transforms=[])
    with pytest.raises(ConfigError, match="must hold one that is not -100"):
        low_precision(model, TOKENS, labels=torch.full_like(TOKENS, -100), transforms=[])
    with pytest.raises(ConfigError, match="must multiply something by a parameter"):
        low_precision(Convolution(), torch.randn(2, 3, 4))
    with pytest.raises(ConfigError, match="`group` must be given with"):
        InputIntegers(bits=4, per="group", group=None)
    with pytest.raises(ConfigError, match="'next_token' where the batch is tokens"):
        low_precision(Planted(1.0), torch.randn(4, WIDTH), labels="next_token")


def test_the_guide_runs_and_lists_every_transform() -> None:
    guide = (Path(observatory.__file__).parents[1] / "docs" / "low_precision.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec("\n".join(blocks), names)
    assert len(names["found"].frame()) == 6
    assert names["later"].frame().equals(names["needed"].frame())
    transforms = named_transforms()
    assert set(transforms) == set(re.findall(r"`((?:\w+_\w+|nvfp4|mxfp4))`", guide)) & set(
        transforms
    )
    assert all(isinstance(transform, Transform) for transform in transforms.values())


@pytest.mark.slow
def test_experts_and_fused_gates_of_a_mixture() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.MixtralConfig(
        vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=24, num_key_value_heads=1, num_local_experts=4, num_experts_per_tok=2,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.MixtralForCausalLM(config)
    batch = {"input_ids": torch.randint(32, (3, 5))}
    found = low_precision(
        model, batch, labels="next_token",
        transforms=["int8_token", "int4_awq", "chess_50", "magnitude_25"],
    )  # fmt: skip
    sites = found.sites()
    assert sites.query("gated")["parameter"].str.contains("down_proj").all()
    assert len(sites.query("transform == 'chess_50'")) >= 1
    assert (found.frame()["output_error_max"] > 0).all()

"""What every probe must keep, checked for each YAML of `conf/probe` on a made-up fleet."""

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class, instantiate
from torch import Tensor

import observatory.conf
import observatory.probes
from observatory.core.contracts import Masked, Probe
from observatory.core.errors import ConfigError
from observatory.core.layout import Weight
from observatory.core.view import FleetView
from tests.made_examples import MadeExamples, made_examples

CONF = Path(observatory.conf.__path__[0]).resolve()
COMPONENTS = {
    path.stem
    for path in Path(observatory.probes.__path__[0]).glob("*.py")
    if path.stem != "__init__"
}
CLASSES_OF_COST = {"default", "mechanism", "forensic"}
"""Files of the group that name several probes."""
PRESETS = sorted({path.stem for path in (CONF / "probe").glob("*.yaml")} - CLASSES_OF_COST)
TYPES = {"float64": torch.float64, "int64": torch.int64, "bool": torch.bool}
REPLICAS, D_MODEL, CLASSES = 4, 8, 7


@dataclass(frozen=True)
class Made:
    """A made-up fleet: random weights, and activations that need not follow from them."""

    rng: torch.Generator
    batch: int
    params: dict[str, Tensor]
    weights: dict[str, Weight]
    activations: dict[str, Tensor]

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(REPLICAS, *shape, generator=self.rng)

    def view(self) -> FleetView:
        return FleetView(
            replica=torch.arange(REPLICAS),
            step=torch.full((REPLICAS,), 10),
            params=self.params,
            weights=self.weights,
            inputs=torch.randint(CLASSES, (self.batch, 2), generator=self.rng),
            labels=torch.randint(CLASSES, (REPLICAS, self.batch), generator=self.rng),
            in_train=torch.rand(REPLICAS, self.batch, generator=self.rng) < 0.6,
            activations=self.activations,
            loss_dtype="float32",
            everything=made_examples(self.params, tuple(self.activations), CLASSES, self.batch),
        )


def made(batch: int, width: int) -> Made:
    """Embedding, unembedding, what it reads, and logits: what every model has."""
    start = Made(torch.Generator().manual_seed(batch + width), batch, {}, {}, {})
    start.params.update(W_E=start.normal(CLASSES, D_MODEL), W_U=start.normal(width, CLASSES))
    start.weights.update(W_E=Weight("embedding"), W_U=Weight("readout", reads="final"))
    start.activations["logits"] = 30 * start.normal(batch, CLASSES)
    start.activations["final"] = start.normal(batch, width)
    return start


def transformer(n_layers: int, n_heads: int, n_ctx: int, batch: int) -> FleetView:
    """Causal patterns and residual streams."""
    fleet = made(batch, D_MODEL)
    future = torch.ones(n_ctx, n_ctx, dtype=torch.bool).triu(1)
    for block in (f"blocks.{layer}" for layer in range(n_layers)):
        fleet.params[f"{block}.attn.W_Q"] = fleet.normal(D_MODEL, D_MODEL)
        fleet.params[f"{block}.attn.b_Q"] = fleet.normal(D_MODEL)
        fleet.weights[f"{block}.attn.W_Q"] = Weight("hidden", reads=f"{block}.attn_in")
        fleet.weights[f"{block}.attn.b_Q"] = Weight("pointwise")
        scores = fleet.normal(batch, n_heads, n_ctx, n_ctx).masked_fill(future, -torch.inf)
        fleet.activations[f"{block}.attn_pattern"] = scores.softmax(dim=-1)
        fleet.activations[f"{block}.attn_in"] = fleet.normal(batch, n_ctx, D_MODEL)
        fleet.activations[f"{block}.resid_post"] = fleet.normal(batch, n_ctx, D_MODEL)
        fleet.activations[f"{block}.mlp_post"] = fleet.normal(batch, n_ctx, 2 * D_MODEL).relu()
    return fleet.view()


def mlp() -> FleetView:
    """Two hidden layers without positions."""
    fleet = made(5, 2 * D_MODEL)
    for layer in range(2):
        fleet.activations[f"blocks.{layer}.mlp_post"] = fleet.normal(5, 2 * D_MODEL).relu()
    return fleet.view()


def recurrent() -> FleetView:
    """Two layers with a state of one vector."""
    fleet = made(6, D_MODEL)
    for layer in range(2):
        for kind in ("hidden", "cell"):
            fleet.activations[f"blocks.{layer}.{kind}"] = fleet.normal(6, 2, D_MODEL)
    return fleet.view()


def state_space() -> FleetView:
    """One layer with a state of one vector per channel."""
    fleet = made(7, D_MODEL)
    for kind, *shape in (("resid_post", D_MODEL), ("gated", 6), ("ssm_state", 6, 3)):
        fleet.activations[f"blocks.0.{kind}"] = fleet.normal(7, 2, *shape)
    return fleet.view()


def li2() -> FleetView:
    """Two matrices, and a hidden layer that is the square of what enters it."""
    start = Made(torch.Generator().manual_seed(0), 20, {}, {}, {})
    start.params.update(W_in=start.normal(2 * CLASSES, 9), W_out=start.normal(9, CLASSES))
    start.weights.update(W_in=Weight("hidden", reads="blocks.0.onehots"))
    start.weights.update(W_out=Weight("readout", reads="final"))
    before = start.normal(20, 9)
    start.activations.update(
        {
            "logits": before.square() @ start.params["W_out"],
            "blocks.0.onehots": start.normal(20, 2 * CLASSES),
            "blocks.0.mlp_pre": before,
            "blocks.0.mlp_post": before.square(),
            "final": before.square(),
        }
    )
    return start.view()


VIEWS: dict[str, Callable[[], FleetView]] = {
    "one layer": partial(transformer, n_layers=1, n_heads=4, n_ctx=3, batch=6),
    "more examples than units": partial(transformer, n_layers=3, n_heads=2, n_ctx=5, batch=12),
    "one head": partial(transformer, n_layers=2, n_heads=1, n_ctx=2, batch=6),
    "mlp": mlp,
    "recurrent": recurrent,
    "state space": state_space,
    "li2": li2,
}


def rows(view: FleetView, index: Tensor) -> FleetView:
    """The replicas at `index` of a view, in that order."""
    assert isinstance(view.everything, MadeExamples)
    return dataclasses.replace(
        view,
        replica=view.replica[index],
        step=view.step[index],
        labels=view.labels[index],
        in_train=view.in_train[index],
        params={name: stack[index] for name, stack in view.params.items()},
        activations={name: stack[index] for name, stack in view.activations.items()},
        everything=view.everything.rows(index),
    )


def tensors(view: FleetView) -> dict[str, Tensor]:
    """Everything a probe could write into."""
    fields = {f.name: getattr(view, f.name) for f in dataclasses.fields(view)}
    loose = {name: value for name, value in fields.items() if isinstance(value, Tensor)}
    return {**loose, **view.params, **view.activations}


def plain(entry: Tensor | Masked | None, index: Tensor) -> tuple[Tensor, Tensor] | None:
    """Values and definedness of the replicas at `index`, undefined values set to 0."""
    if entry is None:
        return None
    if isinstance(entry, Masked):
        values, defined = entry.values[index], entry.defined[index]
    else:
        values, defined = entry[index], torch.ones(len(index), dtype=torch.bool)
    width = values.ndim - defined.ndim
    return values.where(defined[(..., *[None] * width)], torch.zeros_like(values)), defined


def assert_same(ours: dict, theirs: dict, index: Tensor) -> None:
    """`theirs` holds the replicas at `index` of `ours`."""
    assert ours.keys() == theirs.keys()
    for name in ours:
        one, other = plain(ours[name], index), plain(theirs[name], torch.arange(len(index)))
        assert (one is None) == (other is None), name
        if one is not None and other is not None:
            torch.testing.assert_close(other[0], one[0], rtol=1e-11, atol=1e-11, msg=name)
            assert torch.equal(other[1], one[1]), name


CHEAPER = {  # numbers of products, steps and draws; the rest is as in the YAML
    "curvature": ["steps=6", "draws=2"],
    "learning_coefficient": ["steps=8", "burn_in=2", "batch=8", "lr=1e-5"],
}


def composed(preset: str):
    fewer = [f"probe.{preset}.probe.{setting}" for setting in CHEAPER.get(preset, [])]
    with initialize_config_dir(str(CONF), version_base=None):
        return compose(overrides=[f"+probe={preset}", *fewer]).probe


@pytest.fixture(params=PRESETS)
def preset(request: pytest.FixtureRequest) -> str:
    return request.param


@cache
def made_probe(preset: str) -> Probe:
    return instantiate(composed(preset)[preset].probe, _convert_="all")


def can_look(preset: str, name: str) -> bool:
    kinds = {activation.rsplit(".", 1)[-1] for activation in VIEWS[name]().activations}
    return all(kinds.intersection(needed) for needed in made_probe(preset).needs)


CASES = [(preset, name) for preset in PRESETS for name in VIEWS if can_look(preset, name)]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} of {case[1]}")
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture
def probe(case: tuple[str, str]) -> Probe:
    return made_probe(case[0])


@pytest.fixture
def view(case: tuple[str, str]) -> FleetView:
    return VIEWS[case[1]]()


def test_every_probe_looks_at_some_view():
    assert {preset for preset, _ in CASES} == set(PRESETS)


def test_classes_of_cost_build_on_each_other():
    composed_of = {name: list(composed(name)) for name in ("default", "mechanism")}
    with initialize_config_dir(str(CONF), version_base=None):
        assert composed_of["default"] == list(compose("train").probe)
    assert composed_of["mechanism"][: len(composed_of["default"])] == composed_of["default"]


@pytest.mark.slow
def test_every_component_has_a_yaml_and_every_yaml_a_component():
    assert set(PRESETS) >= COMPONENTS
    for preset in PRESETS:
        module = composed(preset)[preset].probe._target_.rsplit(".", 1)[0]
        assert module in {f"observatory.probes.{stem}" for stem in COMPONENTS}
        assert preset not in COMPONENTS or module == f"observatory.probes.{preset}"


def test_composes_under_its_own_name_with_a_schedule(preset: str):
    group = composed(preset)
    assert list(group) == [preset]
    assert set(group[preset]) == {"schedule", "probe"}
    schedule = instantiate(group[preset].schedule, _convert_="all")
    assert schedule.due(0)
    assert schedule.due(schedule.following(0))


def test_class_is_final_and_has_no_defaults(preset: str):
    cls = get_class(composed(preset)[preset].probe._target_)
    assert cls.__final__
    assert issubclass(cls, Probe)
    parameters = inspect.signature(cls).parameters.values()
    assert [p.name for p in parameters if p.default is not p.empty] == []


def test_columns_explain_themselves(preset: str):
    probe = made_probe(preset)
    names = [column.name for column in probe.columns]
    assert len(set(names)) == len(names) > 0
    for column in probe.columns:
        assert column.name == column.name.lower()
        assert column.unit.strip()
        assert len(column.meaning.split()) > 2


def test_measures_exactly_its_columns(probe: Probe, view: FleetView):
    measurement = probe.measure(view)
    assert list(measurement) == [column.name for column in probe.columns]
    for column in probe.columns:
        entry = measurement[column.name]
        values = entry.values if isinstance(entry, Masked) else entry
        if values is None:
            continue
        assert values.dtype == TYPES[column.dtype], column.name
        assert values.shape[0] == REPLICAS, column.name
        assert values.ndim == 1 + len(column.dims), column.name
        assert not values.requires_grad
        if isinstance(entry, Masked):
            assert entry.defined.shape == values.shape[: entry.defined.ndim], column.name


def test_changes_nothing_and_draws_no_random_number(probe: Probe, view: FleetView):
    before = {name: tensor.clone() for name, tensor in tensors(view).items()}
    state, grad = torch.get_rng_state(), torch.is_grad_enabled()
    probe.measure(view)
    after = tensors(view)
    assert after.keys() == before.keys()
    assert [name for name, tensor in after.items() if not torch.equal(tensor, before[name])] == []
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled() == grad


def test_hands_out_no_view_of_the_fleet(probe: Probe, view: FleetView):
    theirs = {tensor.untyped_storage().data_ptr() for tensor in tensors(view).values()}
    for name, entry in probe.measure(view).items():
        values = entry.values if isinstance(entry, Masked) else entry
        assert values is None or values.untyped_storage().data_ptr() not in theirs, name


def test_a_fleet_is_its_replicas_alone(probe: Probe, view: FleetView):
    together = probe.measure(view)
    for replica in range(REPLICAS):
        index = torch.tensor([replica])
        assert_same(together, probe.measure(rows(view, index)), index)


def test_permuting_replicas_permutes_rows(probe: Probe, view: FleetView):
    order = torch.tensor([2, 0, 3, 1])
    assert_same(probe.measure(view), probe.measure(rows(view, order)), order)


def test_a_diverged_replica_silences_no_other(probe: Probe, view: FleetView):
    together, others = probe.measure(view), torch.tensor([0, 1, 3])
    for name in ("params", "activations"):
        for stack in getattr(view, name).values():
            stack[2] = torch.nan
    broken = probe.measure(view)
    assert_same(together, {name: _drop(entry, others) for name, entry in broken.items()}, others)
    for column in probe.columns:
        entry = broken[column.name]
        if entry is None or column.dtype != "float64":
            continue
        before = plain(together[column.name], torch.tensor([2]))
        after = plain(entry, torch.tensor([2]))
        assert before is not None
        assert after is not None
        assert bool((after[1] | ~before[1]).all()), column.name
        assert bool(after[0][after[1]].isnan().all()), f"{column.name} hides what is not finite"


def _drop(entry: Tensor | Masked | None, index: Tensor) -> Tensor | Masked | None:
    if isinstance(entry, Masked):
        return Masked(entry.values[index], entry.defined[index])
    return None if entry is None else entry[index]


def test_says_which_activation_is_missing(probe: Probe, view: FleetView):
    needs = tuple(
        kind for kinds in probe.needs for kind in kinds if kind != "logits"
    )  # every view has logits
    kept = {
        name: stack
        for name, stack in view.activations.items()
        if name.rsplit(".", 1)[-1] not in needs
    }
    poor = dataclasses.replace(view, activations=kept)
    if needs:
        with pytest.raises(ConfigError, match=f"`.*{needs[0]}.*` must be"):
            probe.measure(poor)
    else:
        assert_same(probe.measure(view), probe.measure(poor), torch.arange(REPLICAS))

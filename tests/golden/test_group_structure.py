"""A hand-built network that adds modulo M: every frequency is a circuit of its own.

Unit j of frequency k has the input weights cos(w_k a + f_j) and cos(w_k b + f_j) and the square as
activation, its readout is cos(w_k c + 2 f_j), f_j = 2 pi j / 3: its logits are cos w_k(a + b - c)
and two terms that depend on one operand alone. 1e-9: float64 sums of a few thousand terms.
"""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from observatory.core.contracts import Masked, Measurement
from observatory.core.errors import ConfigError
from observatory.core.schedule import Every
from observatory.core.view import FleetView
from observatory.fleet.every_example import FleetExamples
from observatory.probes.group_structure import GroupStructure
from observatory.probes.progress_measures import ProgressMeasures, ProgressOracle
from observatory.tasks.modular import Modular
from observatory.training.suitability import Scheduled, possible_probes
from tests.hand_built import look_at
from tests.small_networks import network_of

M, PHASES = 13, 3
STRUCTURE = GroupStructure(units=["mlp_post"], pure=0.9, key_share=0.95)
PROGRESS = ProgressMeasures(key_share=0.999, most_examples=10**6)
ORACLE = ProgressOracle(key_share=0.999, most_examples=10**6)


def by_hand(frequencies: list[int], size: float, permuted: Tensor | None = None) -> FleetView:
    """A replica of the Li2 network with these circuits; every parameter in float64."""
    units = [(k, 2 * math.pi * j / PHASES) for k in frequencies for j in range(PHASES)]
    tokens = torch.arange(M, dtype=torch.float64)
    waves = [torch.cos(2 * math.pi * k * tokens / M + phase) for k, phase in units]
    readout = [torch.cos(2 * math.pi * k * tokens / M + 2 * phase) for k, phase in units]
    w_in = torch.cat([torch.stack(waves, dim=1)] * 2)
    w_out = size * torch.stack(readout)
    if permuted is not None:
        w_in, w_out = w_in[:, permuted], w_out[permuted]
    network = network_of("li2", p=M, n_operands=2, d_mlp=len(units)).double()
    task = Modular(p=M, operation="add", random_labels=False)
    return look_at(network, {"W_in": w_in[None], "W_out": w_out[None]}, task)


def number(measured: Measurement, name: str) -> Any:
    entry = measured[name]
    assert isinstance(entry, Masked | Tensor)
    return (entry.values if isinstance(entry, Masked) else entry)[0].tolist()


def test_every_frequency_is_covered_and_the_circuit_alone_adds_rightly() -> None:
    every = list(range(1, (M - 1) // 2 + 1))
    view = by_hand(every, size=20.0)
    structure, progress = STRUCTURE.measure(view), PROGRESS.measure(view)
    assert number(structure, "coverage") == len(every)
    assert number(structure, "key_count") == len(every)
    assert number(structure, "logit_gini") == pytest.approx(0, abs=1e-9)
    assert number(structure, "readout_share") == pytest.approx([1 / len(every)] * len(every))
    assert number(progress, "restricted_loss") == pytest.approx(0, abs=1e-9)
    assert number(progress, "restricted_acc") == 1
    assert number(progress, "margin_circuit") > 20
    assert number(progress, "margin_rest") <= 1e-9
    assert number(progress, "excluded_loss") > 5


def test_two_frequencies_are_the_keys_and_all_that_is_lost_without_them() -> None:
    view = by_hand([2, 5], size=1.0)
    structure, progress = STRUCTURE.measure(view), PROGRESS.measure(view)
    assert number(structure, "key_count") == 2
    assert number(structure, "coverage") == 2
    assert number(structure, "logit_share") == pytest.approx([0, 0.5, 0, 0, 0.5, 0], abs=1e-9)
    assert number(structure, "logit_ipr") == pytest.approx(0.5)
    each = number(progress, "excluded_each")
    without = [loss > each[0] + 0.1 for loss in each]  # frequency 1 holds nothing
    assert without == [False, True, False, False, True, False]
    assert number(progress, "excluded_loss") > max(each)


def oracle(view: FleetView, since: FleetView) -> Measurement:
    """With the key irreps of another network."""
    assert isinstance(view.everything, FleetExamples)
    view.everything.compare_with(since.params, 9)
    return ORACLE.measure(view)


def test_key_irreps_of_another_state_are_used_and_those_of_the_look_are_not() -> None:
    view = by_hand([2, 5], size=1.0)
    own, same = PROGRESS.measure(view), oracle(view, by_hand([2, 5], size=3.0))
    for column in PROGRESS.columns:
        assert number(same, column.name) == number(own, column.name)
    assert number(same, "is_key") == [0, 1, 0, 0, 1, 0]
    fewer, more = (oracle(view, by_hand(keys, size=1.0)) for keys in ([2], [2, 3, 5]))
    assert number(fewer, "is_key") == [0, 1, 0, 0, 0, 0]
    assert number(fewer, "restricted_loss") > number(own, "restricted_loss") + 0.1
    assert number(fewer, "restricted_loss") == pytest.approx(number(fewer, "restricted_each")[1])
    assert number(fewer, "margin_rest") > number(own, "margin_rest") + 0.1
    assert number(more, "restricted_loss") == pytest.approx(number(own, "restricted_loss"))
    nothing = number(more, "restricted_each")[0]  # frequency 1 holds nothing
    assert nothing == pytest.approx(math.log(M), abs=1e-9)
    with pytest.raises(ConfigError, match="must know another state"):
        ORACLE.measure(by_hand([2], size=1.0))


def test_oracle_losses_are_those_of_single_pairs() -> None:
    r"""Parts of irrep k by $\frac{2}{M} \sum_h L(h) \cos w_k(g - h)$, logits by loops; 1e-10."""
    view = by_hand([1, 4, 6], size=0.7)
    measured = oracle(view, by_hand([4, 6], size=1.0))
    everything = view.everything
    assert everything is not None
    z = view.activations["logits"][0].tolist()
    z = [[x - sum(row) / M for x in row] for row in z]
    pairs, labels = everything.inputs.tolist(), everything.labels[0].tolist()
    answer = [(a + b) % M for a, b in pairs]
    mean = [sum(row[c] for row in z) / M**2 for c in range(M)]
    by = [[sum(row[c] for row, g in zip(z, answer, strict=True) if g == h) / M for c in range(M)]
          for h in range(M)]  # fmt: skip

    def part(keys: tuple[int, ...], g: int, c: int) -> float:
        return sum(2 / M * by[h][c] * math.cos(2 * math.pi * k * (g - h) / M)
                   for k in keys for h in range(M))  # fmt: skip

    def entropy(row: list[float], label: int) -> float:
        return math.log(sum(math.exp(x) for x in row)) - row[label]

    parts = {keys: [[part(keys, g, c) for c in range(M)] for g in range(M)]
             for keys in ((4, 6), (1,))}  # fmt: skip
    for name, keys in (("restricted_loss", (4, 6)), ("restricted_each", (1,))):
        alone = [entropy([x + m for x, m in zip(parts[keys][g], mean, strict=True)], label)
                 for g, label in zip(answer, labels, strict=True)]  # fmt: skip
        found = number(measured, name)
        found = found if name == "restricted_loss" else found[0]
        assert found == pytest.approx(sum(alone) / M**2, abs=1e-10)
    rest = [entropy([x - y for x, y in zip(row, parts[(4, 6)][g], strict=True)], label)
            for row, g, label, seen in zip(z, answer, labels, view.in_train[0], strict=True)
            if seen]  # fmt: skip
    assert number(measured, "excluded_loss") == pytest.approx(sum(rest) / len(rest), abs=1e-10)


def test_units_in_another_order_change_nothing() -> None:
    order = torch.randperm(4 * PHASES, generator=torch.Generator().manual_seed(0))
    one, other = by_hand([1, 2, 4, 6], 3.0), by_hand([1, 2, 4, 6], 3.0, order)
    for probe in (STRUCTURE, PROGRESS):
        first, second = probe.measure(one), probe.measure(other)
        for column in probe.columns:
            entry = first[column.name]
            if isinstance(entry, Masked) and not entry.defined.all():
                continue  # this network has no embedding
            assert number(second, column.name) == pytest.approx(
                number(first, column.name), rel=1e-9, abs=1e-9
            )


def test_the_probes_need_a_group() -> None:
    asked = {"progress_measures": Scheduled(PROGRESS, Every(10))}
    network = network_of("mlp", p=7, n_operands=2)
    for kind, possible in (("add", True), ("sub", True), ("mul", False), ("quadratic", False)):
        operation: Any = kind
        task = Modular(p=7, operation=operation, random_labels=True)
        found, unavailable = possible_probes(asked, network, task)
        assert bool(found) == possible
        assert bool(unavailable) != possible

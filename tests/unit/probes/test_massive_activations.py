import torch

from observatory.core.contracts import Masked
from observatory.probes.massive_activations import MassiveActivations, massive_activations


def test_without_positions_there_is_no_position():
    units = torch.ones(2, 1, 4, 6)
    units[1, 0, 3, 5] = -9.0
    told = massive_activations(units)
    assert told["position"] is None
    channel = told["channel"]
    assert isinstance(channel, Masked)
    assert channel.values.tolist() == [[0], [5]]


def test_state_axes_are_channels():
    state = torch.ones(1, 1, 4, 2, 6, 3)
    state[0, 0, 2, 1, 4, 2] = 7.0
    told = massive_activations(state)
    position, channel = told["position"], told["channel"]
    assert isinstance(position, Masked)
    assert isinstance(channel, Masked)
    assert position.values.item() == 1
    assert channel.values.item() == 4 * 3 + 2


def test_needs_one_of_its_streams():
    assert MassiveActivations(streams=["cell", "ssm_state"]).needs == (("cell", "ssm_state"),)

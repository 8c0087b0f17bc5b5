"""A network of a run as a module, with weights that were kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from observatory.launch.trust import check_trusted
from observatory.training.build import network_of


def network(
    run_id: str, manifest: Mapping[str, Any], weights: Mapping[str, np.ndarray], *, trust: bool
) -> nn.Module:
    """The network on the CPU, in evaluation mode.

    Args:
        run_id: Of the run that trained it.
        manifest: Of the run.
        weights: By name, in the shapes of its model.
        trust: Whether settings of the run may name code outside of this package, which runs.

    Raises:
        ConfigError: If they do without, or the network cannot be made here.
    """
    if not trust:
        check_trusted(manifest["config"], f"Run `{run_id}`")
    made = network_of(manifest["config"])
    tensors = {name: torch.from_numpy(each) for name, each in weights.items()}
    made.to(next(iter(tensors.values())).dtype).load_state_dict(tensors)
    return made.eval()

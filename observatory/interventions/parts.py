"""Which entries of a flat row a name has: a weight, a pattern, or a part such as a head."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import final

import torch
from jaxtyping import Bool
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.core.layout import Index, Layout
from observatory.core.settings import did_you_mean

_LAST_NUMBER = re.compile(r"\.\d+$")
"""Of a part that is one of several, such as a head."""


@final
@dataclass(frozen=True)
class PartNames:
    """Names of a network's entries.

    Attributes:
        layout: Its weights.
        of: By name of what is no whole weight, which entries of which weights it has.
    """

    layout: Layout
    of: Mapping[str, Mapping[str, Index]]

    def entries(self, pattern: str, setting: str = "part") -> Bool[Tensor, " param"]:
        """Whether each entry belongs to a weight or part whose name fits a pattern.

        Args:
            pattern: A name, or as in a shell.
            setting: What has it, for the refusal.

        Raises:
            ConfigError: If nothing is so named.

        Example:
            >>> weights = Layout(("W_E", "W_U"), (torch.Size([2, 2]), torch.Size([2, 1])), ())
            >>> parts = PartNames(weights, {"second": {"W_E": (slice(None), slice(1, 2))}})
            >>> parts.entries("second").tolist()
            [False, True, False, True, False, False]
            >>> parts.entries("W_*").all()
            tensor(True)
        """
        mask = torch.zeros(1, sum(self.layout.sizes))
        views = self.layout.views(mask)
        weights = [name for name in self.layout.names if fnmatchcase(name, pattern)]
        others = [name for name in self.of if fnmatchcase(name, pattern)]
        if not weights and not others:
            known = [*self.layout.names, *self.of]
            listed = ", ".join(dict.fromkeys(_LAST_NUMBER.sub(".0, 1, ...", n) for n in known))
            raise ConfigError(
                f"`{setting}` must name a weight or a part of the network, or be a pattern of such "
                f"names, got {pattern!r}. It has {listed}.{did_you_mean(pattern, known)}"
            )
        for name in weights:
            views[name][:] = 1.0
        for other in others:
            for name, index in self.of[other].items():
                views[name][(slice(None), *index)] = 1.0
        return mask[0] > 0


def check_symbols(part: str, parts: PartNames, modulus: int | None) -> None:
    """Refuse a part that embeds no residues, whose symbols have no frequencies.

    Args:
        part: Name of the embedding.
        parts: Of the network.
        modulus: As of `HasModulus`, of the task.

    Raises:
        ConfigError: If the task does not add residues, or the part has no row for each of them.
    """
    if modulus is None:
        raise ConfigError(
            "`task` must add or subtract residues, such as task=add: only then do symbols have "
            "the frequencies that this intervention names."
        )
    shapes = dict(zip(parts.layout.names, parts.layout.shapes, strict=True))
    shape = shapes.get(part, ())
    if len(shape) != 2 or shape[0] < modulus:
        raise ConfigError(
            f"`part` must be a weight with a row for each of the {modulus} symbols, such as "
            f"W_E, got {part} of shape {list(shape)}."
        )

"""A made-up task on Z_n with a made-up smooth network, as probes see all of its examples."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from observatory.core.layout import Params
from observatory.core.view import EveryExample
from observatory.maths.examples import all_tuples
from observatory.maths.groups import cyclic_table

WIDTH = 5


@final
class MadeExamples(EveryExample):
    """All pairs; logits tanh(A[a] + B[b]) C, of the first and last entries of all parameters."""

    def __init__(
        self, labels: Tensor, in_train: Tensor, start: Params, names: tuple[str, ...], n: int
    ) -> None:
        self._labels, self._in_train, self._start = labels, in_train, start
        self.names, self.n = names, n

    @property
    def labels(self) -> Tensor:
        return self._labels

    @property
    def in_train(self) -> Tensor:
        return self._in_train

    @property
    def start(self) -> Params:
        return self._start

    @property
    def since(self) -> int:
        return 10

    @property
    def inputs(self) -> Tensor:
        return all_tuples(self.n, 2)

    @property
    def group(self) -> Tensor:
        return cyclic_table(self.n)

    @property
    def answers(self) -> Tensor:
        return self.group.flatten()

    def rows(self, index: Tensor) -> "MadeExamples":
        """The replicas at `index`."""
        start = {name: stack[index] for name, stack in self.start.items()}
        return MadeExamples(self.labels[index], self.in_train[index], start, self.names, self.n)

    def _pieces(self, params: Params) -> tuple[Tensor, Tensor]:
        flat = torch.cat([stack.flatten(start_dim=1) for stack in params.values()], dim=1)
        size = self.n * WIDTH
        return (
            flat[:, :size].unflatten(1, (self.n, WIDTH)),
            flat[:, -size:].unflatten(1, (WIDTH, self.n)),
        )

    def _hidden(self, table: Tensor, inputs: Tensor) -> Tensor:
        replica = torch.arange(len(table))[:, None]
        first, second = table[replica, inputs[..., 0]], table.flip(2)[replica, inputs[..., 1]]
        return (first + second).tanh()

    def logits(self, params: Params, inputs: Tensor) -> Tensor:
        table, readout = self._pieces(params)
        return 3 * self._hidden(table, inputs) @ readout

    def patched(
        self,
        params: Params,
        inputs: Tensor,
        given: Mapping[str, Tensor],
        only: Mapping[str, Tensor],
        *,
        relevance: bool,
    ) -> Tensor:
        """All activations but the logits are the hidden units; those given are averaged."""
        table, readout = self._pieces(params)
        hidden = self._hidden(table, inputs)
        values = [
            each.where(only[name], hidden) if name in only else each for name, each in given.items()
        ]
        return 3 * torch.stack(values).mean(dim=0) @ readout

    def losses(self, logits: Tensor, labels: Tensor, counted: Tensor | None = None) -> Tensor:
        return logits.logsumexp(dim=-1) - logits.gather(-1, labels[..., None])[..., 0]

    def activations(self, params: Params, inputs: Tensor) -> Mapping[str, Tensor]:
        table, readout = self._pieces(params)
        hidden = self._hidden(table, inputs.expand(len(table), -1, -1))
        named = dict.fromkeys(self.names, hidden)
        return {**named, "logits": 3 * hidden @ readout}


def made_examples(params: Params, names: tuple[str, ...], n: int, seed: int) -> MadeExamples:
    """Of replicas with these parameters, which started from others."""
    rng = torch.Generator().manual_seed(seed)
    replicas = len(next(iter(params.values())))
    start = {
        name: torch.randn(stack.shape, generator=rng, dtype=stack.dtype)
        for name, stack in params.items()
    }
    return MadeExamples(
        labels=torch.randint(n, (replicas, n * n), generator=rng),
        in_train=torch.rand(replicas, n * n, generator=rng).argsort(dim=1) < round(0.6 * n * n),
        start=start,
        names=names,
        n=n,
    )

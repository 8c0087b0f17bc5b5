"""The sum of several residues modulo p."""

from typing import final

from observatory.core.errors import ConfigError
from observatory.maths.examples import AnsweredTask, all_tuples, random_tuples


@final
class ModularSum(AnsweredTask):
    """Ordered tuples of `k` residues modulo `p`: all p^k, or distinct random ones.

    Args:
        p: Modulus, at least 2.
        k: Number of operands, at least 2; with 2 and all tuples this is addition.
        n_samples: Number of random tuples, the same for every replica; None for all tuples,
            refused above a million.
        inputs_seed: From which they are drawn; no matter where all are there.
        random_labels: Replace the answers by uniform random ones drawn once per replica seed.
    """

    def __init__(
        self, *, p: int, k: int, n_samples: int | None, inputs_seed: int, random_labels: bool
    ) -> None:
        for name, size in (("p", p), ("k", k)):
            if size < 2:
                raise ConfigError(f"`{name}` must be at least 2, got {size}.")
        tuples = (
            all_tuples(p, k) if n_samples is None else random_tuples(p, k, n_samples, inputs_seed)
        )
        super().__init__(
            tuples,
            tuples.sum(dim=1) % p,
            n_symbols=p,
            n_classes=p,
            negative=None,
            random_labels=random_labels,
        )
        self.modulus = p

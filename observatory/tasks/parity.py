"""Sparse parity: the parity of a few bits, hidden among many that do not matter."""

from typing import final

from observatory.core.errors import ConfigError
from observatory.maths.examples import AnsweredTask, random_tuples

_NEGATIVE = "no delay between train and val accuracy in 15 of 15 runs (arXiv:2603.13331)"


@final
class SparseParity(AnsweredTask):
    """Distinct random bit strings; the answer is the sum of the first `k` bits modulo 2.

    Which bits matter is no loss of generality for networks that treat positions alike at the
    start; that they are the first shows a probe where to look.

    Args:
        n_bits: Length of the strings, relevant bits included.
        k: Number of relevant bits, in 1..n_bits.
        n_samples: Number of strings, the same for every replica.
        inputs_seed: From which they are drawn.
        random_labels: Replace the answers by uniform random ones drawn once per replica seed.

    Source:
        Sizes of arXiv:2501.04697: 3 relevant and 40 other bits, 2000 samples.
    """

    def __init__(
        self, *, n_bits: int, k: int, n_samples: int, inputs_seed: int, random_labels: bool
    ) -> None:
        if not 1 <= k <= n_bits:
            raise ConfigError(
                f"`k` must be in 1..{n_bits}, got {k}. Of `n_bits` bits the first `k` matter."
            )
        strings = random_tuples(2, n_bits, n_samples, inputs_seed)
        super().__init__(
            strings,
            strings[:, :k].sum(dim=1) % 2,
            n_symbols=2,
            n_classes=2,
            negative=_NEGATIVE,
            random_labels=random_labels,
        )

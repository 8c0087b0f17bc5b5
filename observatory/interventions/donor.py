"""From which network of a finished study a replica takes weights. Imports no torch."""

from typing import final

from observatory.core.settings import Count, check_arguments


@final
class Donor:
    """A network of a finished study: one for all replicas, or for each the one with its seed.

    Args:
        study: Folder of the study, such as "results/donors".
        run: Of which of its runs; None: it has one.
        replica: Its number; None: for each replica the network with the same seed, among several
            that with the largest weight decay, then the smallest number.
        outcome: How a network that is looked up must have ended, such as "grokked"; None: any
            outcome.
        step: At which its weights were kept; None: the last one.
    """

    def __init__(
        self,
        *,
        study: str,
        run: str | None,
        replica: Count | None,
        outcome: str | None,
        step: Count | None,
    ) -> None:
        check_arguments(Donor, study=study, run=run, replica=replica, outcome=outcome, step=step)
        self.study, self.run, self.replica = study, run, replica
        self.outcome, self.step = outcome, step

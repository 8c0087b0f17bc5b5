"""What a question is: everything that one folder of `analysis/` declares of itself."""

from abc import ABC
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.page.comparison import GroupComparison
    from observatory.analysis.page.drawing import Drawing, NotDrawn
    from observatory.analysis.page.facts import Facts
    from observatory.analysis.stats.estimate import Estimate
    from observatory.analysis.stats.observations import Observations

Record = Mapping[str, Any]
"""A fit as `fits.json` holds it."""


@runtime_checkable
class Fit(Protocol):
    """An estimator of observations of runs."""

    fit_name: str
    estimator: str
    level: float
    window_max: float

    def fit(self, observations: "Observations", seed: int) -> "Estimate":
        """The estimate, or `FitRefusedError` where the data cannot give one."""
        ...


@runtime_checkable
class EveryControl(Fit, Protocol):
    """A fit that has no axis of the control: every value enters, 0 too.

    `every_control` is true.
    """

    every_control: bool


class Question(ABC):
    """One thing that can be asked of a table or a study.

    `analysis/<folder>/question.py` lists its questions as `QUESTIONS`; the command line, its help,
    `observatory.fits`, the fits of a study and the report find them there. The module is imported
    to print a help text, so whatever is slow to import is imported inside functions.

    Attributes:
        name: In the command line, in `observatory.fits`, in `conf/fit` and in records.
        summary: One line for lists of questions.
        examples: Command lines, without `observatory fit`.
        aliases: Names under which it was known before.
        n_tables: Least and largest number of tables that it takes; null for no end.
        ask: The public function: its signature is the options, its docstring their help texts.
        place: Where its section stands on the page: lower ones come first.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    examples: ClassVar[Sequence[str]]
    aliases: ClassVar[Sequence[str]] = ()
    n_tables: ClassVar[tuple[int, int | None]] = (1, 1)
    ask: ClassVar["Callable[..., Fitted]"]
    place: ClassVar[int] = 100

    def text(self, fitted: "Fitted") -> str:
        """The result in a few lines: the estimates with their intervals, or the refusal."""
        from observatory.analysis.stats.text import text_of

        return "\n".join(text_of(record) for record in fitted.records)

    def draw(self, fitted: "Fitted", ax: "Axes | None") -> "Figure | None":
        """The result as a figure; None where a question has none.

        Args:
            fitted: The result.
            ax: Where to draw; None: axes of a new figure. A question of several panels refuses it.

        Raises:
            ConfigError: If `ax` cannot be drawn into.
        """
        return None

    def fit_group(self, facts: "Facts", settings: Mapping[str, Any]) -> list[Record]:
        """What is fitted of one group of a study's replicas, as records of its `fits.json`.

        Args:
            facts: The group, with what was counted in it and fitted to it before.
            settings: The `fit` node of the configuration, plain values.
        """
        return []

    def fit_across(
        self, comparison: "GroupComparison", settings: Mapping[str, Any]
    ) -> list[Record]:
        """What is fitted to several groups beside each other, likewise.

        Args:
            comparison: The groups, the one that others are compared with first.
            settings: The `fit` node of the configuration, plain values.
        """
        return []

    def section(self, facts: "Facts") -> "Iterable[Drawing | NotDrawn]":
        """Figures of one group of replicas, drawn from its records and tables alone."""
        return ()

    def section_across(self, comparison: "GroupComparison") -> "Iterable[Drawing | NotDrawn]":
        """Figures that set groups beside each other, drawn from `comparison.records` and tables."""
        return ()

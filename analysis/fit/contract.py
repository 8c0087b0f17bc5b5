"""What a question is: everything that one folder of `analysis/` declares of itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol, final, runtime_checkable

from observatory.core.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from observatory.analysis.fit.result import Fitted
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


@final
@dataclass(kw_only=True)
class Question:
    """One thing that can be asked of a table or a study.

    `analysis/<folder>/question.py` lists its questions as `QUESTIONS`; the command line, its help,
    `observatory.fits`, the fits of a study and the report find them there. The module is imported
    to print a help text: parts that are slow to import are named as "module:function" of the
    folder, and imported when they are needed.

    Attributes:
        ask: The public function: its name is that of the question in the command line, in
            `observatory.fits`, in `conf/fit` and in records, its signature are the options, its
            docstring their help texts.
        summary: One line for lists of questions.
        examples: Command lines, without `observatory fit`.
        aliases: Names under which it was known before.
        place: Where its section stands on the page: lower ones come first.
        words: Of `(fitted)`: the result in a few lines. Without one: the estimates with their
            intervals, or the refusal.
        panel: Of `(axes, record, data)`: draws one record into axes; `data` is that of the task.
        size: Of `(record)`: width and height of a figure of that panel, in inches.
        figure: Of `(fitted)`: the result as a figure of several panels.
        fit_group: Of `(facts, settings)`: what is fitted of one group of a study's replicas, as
            records of its `fits.json`. `settings` is the `fit` node of the configuration, plain
            values; `facts` holds the group, with what was counted in it and fitted to it before.
        fit_across: Of `(comparison, settings)`: what is fitted to several groups beside each other,
            likewise; the group that others are compared with comes first.
        section: Of `(facts)`: figures of one group, drawn from its records and tables alone.
        section_across: Of `(comparison)`: figures that set groups beside each other, drawn from
            `comparison.records` and tables.
    """

    ask: "Callable[..., Fitted]"
    summary: str
    examples: Sequence[str]
    aliases: Sequence[str] = ()
    place: int = 100
    words: str = ""
    panel: str = ""
    size: str = ""
    figure: str = ""
    fit_group: str = ""
    fit_across: str = ""
    section: str = ""
    section_across: str = ""

    @property
    def name(self) -> str:
        """In the command line, in `observatory.fits`, in `conf/fit` and in records."""
        return self.ask.__name__

    def part(self, name: str) -> Callable[..., Any]:
        """The function that a part names."""
        return resolve_name(f"{self.ask.__module__.rpartition('.')[0]}.{getattr(self, name)}")

    def collect(self, name: str, *given: Any) -> list[Any]:
        """The records or figures that a part makes; none where the question lacks the part."""
        return [*self.part(name)(*given)] if getattr(self, name) else []

    def text(self, fitted: "Fitted") -> str:
        """The result in a few lines."""
        from observatory.analysis.stats.text import text_of

        if self.words:
            return self.part("words")(fitted)
        return "\n".join(text_of(record) for record in fitted.records)

    def draw(self, fitted: "Fitted", ax: "Axes | None") -> "Figure":
        """The result as a figure.

        Args:
            fitted: The result.
            ax: Where to draw one panel; None: a new figure, with a panel per group where there are
                groups.

        Raises:
            ConfigError: If the question has no figure, or one of several panels and `ax` is given.
        """
        from observatory.analysis.page.single import drawn, panels

        if not (self.panel or self.figure):
            raise ConfigError(f"`plot` is not for {self.name}, which has no figure.")
        by_group = isinstance(fitted.data, Mapping)  # which may hold one alone
        several = by_group or len(fitted.records) > 1 or not self.panel
        if ax is not None and several:
            raise ConfigError(
                f"`ax` takes one panel, and this figure of {self.name} has several. Leave it out, "
                "or choose one group."
            )
        if self.figure and ax is None:
            return self.part("figure")(fitted)
        if several:
            return panels(self.part("panel"), fitted.records, fitted.data)
        size = (self.part("size")(fitted.record),) if self.size else ()
        return drawn(self.part("panel"), fitted.record, fitted.data, ax, *size)

"""Laws of curves as conf/fit has them."""

from observatory.analysis.curves.estimators.series import CurveLaw
from observatory.analysis.fit.settings import build, settings_of


def law_of(estimator: str, **settings: object) -> CurveLaw:
    """An estimator of curves, some of its settings changed."""
    return build(*settings_of("curves", estimator, settings))

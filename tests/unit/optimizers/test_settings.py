"""Settings of optimizers outside their rule are refused by name."""

import pytest

from observatory.core.errors import ConfigError
from observatory.optimizers.adam import Adam
from observatory.optimizers.adamw import AdamW
from observatory.optimizers.grokfast import Grokfast
from observatory.optimizers.lion import Lion
from observatory.optimizers.orthograd import OrthoGrad
from observatory.optimizers.sgd import SGD
from observatory.optimizers.warmup import Warmup

INNER = SGD(momentum=0.0, nesterov=False)
MOMENTS = {"beta1": 0.9, "beta2": 0.98, "eps": 1e-8}


@pytest.mark.parametrize(
    ("optimizer", "settings", "message"),
    [
        (AdamW, {**MOMENTS, "beta1": 1.0}, r"`beta1` must be in \[0, 1\)"),
        (Adam, {**MOMENTS, "beta2": -0.1}, r"`beta2` must be in \[0, 1\)"),
        (Adam, {**MOMENTS, "eps": 0.0}, "`eps` must be positive"),
        (SGD, {"momentum": 1.0, "nesterov": False}, r"`momentum` must be in \[0, 1\)"),
        (SGD, {"momentum": 0.0, "nesterov": True}, "`momentum` must be above 0"),
        (Grokfast, {"alpha": 1.0, "lamb": 2.0, "inner": INNER}, r"`alpha` must be in \[0, 1\)"),
        (Grokfast, {"alpha": 0.9, "lamb": -1.0, "inner": INNER}, "`lamb` must not be negative"),
        (OrthoGrad, {"eps": 0.0, "inner": INNER}, "`eps` must be positive"),
        (Lion, {"beta1": 1.0, "beta2": 0.99}, r"`beta1` must be in \[0, 1\)"),
        (Lion, {"beta1": 0.9, "beta2": -0.1}, r"`beta2` must be in \[0, 1\)"),
        (Warmup, {"steps": 0, "inner": INNER}, "`steps` must be a whole number of at least 1"),
    ],
)
def test_it_is_refused(optimizer: type, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        optimizer(**settings)

import pytest

from observatory.core.errors import ConfigError
from observatory.core.layout import Weight
from observatory.maths.matrices import matrix_names


def test_matrices_keep_the_order_of_the_parameters():
    weights = {
        "W_U": Weight("readout", reads="final"),
        "b": Weight("pointwise"),
        "W_E": Weight("embedding"),
    }
    assert matrix_names(["W_E", "b", "W_U"], weights) == ("W_E", "W_U")
    with pytest.raises(ConfigError, match="`model` must have a weight matrix"):
        matrix_names(["b"], weights)

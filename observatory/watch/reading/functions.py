"""Names of the torch functions that a look knows: one list for whoever follows a pass."""

from collections.abc import Mapping

OPERANDS: Mapping[str, tuple[tuple[int, str], tuple[int, str]]] = {
    "linear": ((0, "input"), (1, "weight")),
    "addmm": ((1, "mat1"), (2, "mat2")),
    "baddbmm": ((1, "batch1"), (2, "batch2")),
    "matmul": ((0, "input"), (1, "other")),
    "__matmul__": ((0, "self"), (1, "other")),
    "__rmatmul__": ((1, "other"), (0, "self")),
    "mm": ((0, "input"), (1, "mat2")),
    "bmm": ((0, "input"), (1, "mat2")),
    "einsum": ((1, "operands"), (2, "operands")),
    "_grouped_mm": ((0, "mat_a"), (1, "mat_b")),
    "grouped_mm": ((0, "mat_a"), (1, "mat_b")),
}
"""Products: position and name of the left and of the right operand."""
GROUPED = frozenset({"_grouped_mm", "grouped_mm"})
CONTRACTIONS = frozenset({"matmul", "bmm", "__matmul__", "__rmatmul__", "baddbmm", "einsum"})
"""Those that may average values with the rows of a pattern."""
TABLES = frozenset({"embedding", "__getitem__", "index_select"})
"""Rows are looked up."""
READS = frozenset({*OPERANDS, *TABLES, "conv1d", "conv2d", "bilinear"})
"""What may read a parameter of two axes or more."""

NONLINEARITIES = frozenset(
    {
        *("gelu", "silu", "relu", "relu_", "tanh", "sigmoid", "elu", "leaky_relu", "softplus"),
        *("mish", "hardswish", "relu6", "selu", "celu", "hardtanh", "logsigmoid", "erf"),
        *("silu_", "gelu_", "threshold"),
    }
)
"""Of every entry by itself."""
BENDS = NONLINEARITIES | {"glu"}
"""Those and what halves its channels; no square, which norms are made of too."""

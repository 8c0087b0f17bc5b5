"""The figures of what a network computes with, declared: their panels and what captions say."""

from observatory.analysis.training.diagnostics import Diagnostic, Panel
from observatory.store.reader import EVALUATION

MECHANISM = (
    Diagnostic(
        "mechanism-circuit",
        "The circuit and the rest",
        "Cross-entropy of the key irreps of the answer alone (restricted, all pairs) and of the "
        "logits without them (excluded, train pairs) beside the val loss; the margins of both "
        "(label less largest other, nats); how many irreps are key, how much of the logits "
        "depends on the answer alone, how many irreps units own (dimensionless). Key irreps are "
        "those of the same look.",
        (
            Panel("progress_measures", "restricted_loss", "restricted loss (nats)", log=True),
            Panel("progress_measures", "excluded_loss", "excluded loss (nats)", log=True),
            Panel(EVALUATION, "val_loss", "val loss", log=True),
            Panel("progress_measures", "margin_circuit", "margin of the circuit (nats)"),
            Panel("progress_measures", "margin_rest", "margin of the rest (nats)"),
            Panel("group_structure", "key_count", "key irreps"),
            Panel("group_structure", "explained", "share explained by the answer"),
            Panel("group_structure", "coverage", "irreps owned by units"),
        ),
    ),
    Diagnostic(
        "mechanism-oracle",
        "The circuit of a later state",
        "As of the circuit and the rest, for the irreps that are key at another step, the one at "
        "--since below, which a look in training cannot know: cross-entropy of these irreps of the "
        "answer alone (restricted, all pairs) and of the logits without them (excluded, train "
        "pairs) beside the val loss, and the margins of both (label less largest other, nats). "
        "Source of the losses: arXiv:2301.05217.",
        (
            Panel("progress_oracle", "restricted_loss", "restricted loss (nats)", log=True),
            Panel("progress_oracle", "excluded_loss", "excluded loss (nats)", log=True),
            Panel(EVALUATION, "val_loss", "val loss", log=True),
            Panel("progress_oracle", "margin_circuit", "margin of the circuit (nats)"),
            Panel("progress_oracle", "margin_rest", "margin of the rest (nats)"),
        ),
    ),
    Diagnostic(
        "mechanism-algorithm",
        "Clock or pizza",
        "With which algorithm a network adds: mean cosine of the derivatives of a logit by the "
        "embeddings of both operands (gradient symmetricity, −1 to 1: a clock has 0, a pizza 1); "
        "spread of the right logit among pairs of one difference over that among all pairs "
        "(distance irrelevance, 0–1: a pizza has 0, a clock 1 or none); share of the embedding’s "
        "first principal components in one irrep each (circularity, 0–1) and of the power of the "
        "logits at frequencies (k, k) of both operands (0–1). The first two say which only where "
        "the last two are high: both algorithms have a circularity of 1, and at (k, k) a clock has "
        "1, a pizza 0.81. All dimensionless. Sources: arXiv:2306.17844, and of the last "
        "arXiv:2608.07436.",
        (
            Panel("algorithm_family", "gradient_symmetricity", "gradient symmetricity"),
            Panel("algorithm_family", "distance_irrelevance", "distance irrelevance"),
            Panel("algorithm_family", "circularity", "circularity of embedding"),
            Panel("algorithm_family", "right_share", "share of logits at (k, k)"),
        ),
    ),
    Diagnostic(
        "mechanism-references",
        "Predictors that memorise",
        "Share of val examples that a predictor answers as labelled (right), and to which the "
        "network gives the same answer (agrees); neighbours (1-NN, and the singular "
        "kernel) are train examples, by what the readout reads or by the operands (0–1).",
        (
            Panel("references", "network_acc", "network: right"),
            Panel("references", "final_nn_acc", "1-NN, readout: right"),
            Panel("references", "final_nn_agree", "1-NN, readout: agrees"),
            Panel("references", "final_kernel_agree", "kernel, readout: agrees"),
            Panel("references", "input_nn_agree", "1-NN, operands: agrees"),
            Panel("references", "majority_agree", "majority vote: agrees"),
        ),
    ),
    Diagnostic(
        "mechanism-dynamics",
        "Gradient and way from the start",
        "Norm of the gradient on all train examples and its cosine with a change of scale (1: a "
        "step scales the network); share of train examples whose loss is exactly 0; angle, "
        "distance and alignment to the start; median kurtosis of the weight matrices "
        "(dimensionless but for degrees).",
        (
            Panel("gradient", "gradient_norm", "gradient norm", log=True),
            Panel("gradient", "nlm_cosine", "cosine with a change of scale"),
            Panel("gradient", "zero_loss_share", "share with loss 0"),
            Panel("trajectory", "angle", "angle to the start (degrees)"),
            Panel("trajectory", "displacement", "distance from the start"),
            Panel("trajectory", "cka_start", "alignment to the start"),
            Panel("entry_statistics", "kurtosis", "kurtosis of weights", True, "matrices"),
        ),
    ),
    Diagnostic(
        "mechanism-curvature",
        "Curvature, volume and kernel",
        "Largest eigenvalue and trace of the Hessian; local learning coefficient, where its chains "
        "are sound, with their R-hat; drift of the tangent kernel from the start and its alignment "
        "with the labels (dimensionless).",
        (
            Panel("curvature", "eigenvalue_1", "largest eigenvalue", log=True),
            Panel("curvature", "trace", "trace of the Hessian", log=True),
            Panel("learning_coefficient", "coefficient", "learning coefficient"),
            Panel("learning_coefficient", "r_hat", "R-hat of its chains", log=True),
            Panel("kernel_drift", "drift", "drift of the kernel"),
            Panel("kernel_drift", "alignment", "alignment with labels"),
        ),
    ),
    Diagnostic(
        "mechanism-surrogate",
        "Kernel of learning with a surrogate slope",
        "Of networks of signs or thresholds: how much a step on one example changes the logits of "
        "another, with the slope of a smooth function in place of that of the steps (the "
        "surrogate-gradient tangent kernel). Its drift, 1 less the cosine with that at the start; "
        "its alignment with the labels, both centred; the norm of its antisymmetric part over its "
        "own (0: symmetric); its cosine with the kernel that has the surrogate slope on both "
        "sides. All dimensionless, of plain gradient descent. Source: arXiv:2405.15539.",
        (
            Panel("surrogate_kernel", "drift", "drift of the kernel"),
            Panel("surrogate_kernel", "alignment", "alignment with labels"),
            Panel("surrogate_kernel", "antisymmetric_share", "antisymmetric share"),
            Panel("surrogate_kernel", "surrogate_cosine", "cosine with symmetric kernel"),
        ),
    ),
    Diagnostic(
        "mechanism-kept",
        "Order of steps, straight lines, tails and traps",
        "How far two steps on batches depend on their order; how far the loss rises above the "
        "chord on the straight line from the start (nats of a cross-entropy); over weight "
        "matrices, the median exponent of the tail of squared singular values, number of traps "
        "and change of val loss without them, beside that without random parts of their size; "
        "distance of the logits’ Fourier spectrum to the flat one of the right answers "
        "(frequencies), and its share where these are (dimensionless where no unit is given).",
        (
            Panel("commutator", "commutator", "order of two steps", log=True),
            Panel("segment", "train_barrier", "barrier, train loss"),
            Panel("segment", "val_barrier", "barrier, val loss"),
            Panel("tail_exponent", "alpha", "tail exponent", lists="matrices"),
            Panel("correlation_traps", "traps_tracy_widom", "traps", lists="matrices"),
            Panel("trap_harm", "loss_change", "change without traps", lists="matrices"),
            Panel("trap_harm", "random_loss_change", "change, random parts", lists="matrices"),
            Panel("output_spectrum", "flat_distance", "distance to a flat spectrum"),
            Panel("output_spectrum", "joint_share", "share of the answers’ part"),
        ),
    ),
)
"""In the order of the page; of each, what was recorded is drawn."""

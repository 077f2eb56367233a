"""DNN: where to search.

Sources:
    Starting points: found by hand on five-fold runs. Classes: a short fit for noisy targets (credit
        default) and a long one for clean ones (letter: log-loss .07 against .46). Regression: higher
        frequencies (california housing, concrete), the second with Mish and some dropout.
    Ranges: around these. dropout, activation, weight_decay and the frequencies of the periodic embedding:
        Holzmüller et al. 2024, arXiv 2407.04491 (RealMLP; its lr is another parametrisation's and not
        comparable). Widths stop at 256, where an epoch of 24,000 rows costs a third of a second on one core.
"""

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

SPACE: dict[str, BaseDistribution] = {
    "n_blocks": IntDistribution(1, 5),
    "d_block": IntDistribution(64, 256, step=32),
    "dropout": FloatDistribution(0.0, 0.5),
    "activation": CategoricalDistribution(["silu", "mish", "gelu", "relu"]),
    "normalization": CategoricalDistribution(["none", "batch_norm"]),
    "num_embedding": CategoricalDistribution(["periodic", "none"]),
    "frequency_scale": FloatDistribution(0.05, 5.0, log=True),
    "optimizer": CategoricalDistribution(["adamw", "adam"]),
    "lr": FloatDistribution(5e-4, 3e-2, log=True),
    "weight_decay": FloatDistribution(1e-5, 0.3, log=True),
    "batch_size": CategoricalDistribution([256, 512, 1024]),
    "epochs": IntDistribution(8, 64, log=True),
}

SHORT = {
    "n_blocks": 3,
    "d_block": 96,
    "dropout": 0.1,
    "frequency_scale": 0.3,
    "lr": 0.003,
    "batch_size": 512,
    "epochs": 12,
}
LONG = {**SHORT, "d_block": 128, "lr": 0.01, "epochs": 40}

DEFAULTS = {
    "binary": [SHORT, LONG],
    "multiclass": [LONG, SHORT],
    "regression": [
        {**LONG, "dropout": 0.0, "frequency_scale": 1.0},
        {**LONG, "dropout": 0.05, "frequency_scale": 2.0, "activation": "mish"},
    ],
}

"""Monte Carlo dropout: where to search.

Sources:
    Starting points: as the DNN's, with the dropout that served both accuracy and likelihood best on credit
        default, letter, california housing and concrete.
    Ranges: as the DNN's. dropout from .02, since the masks are all of the family's model uncertainty; Gal and
        Ghahramani 2016, arXiv 1506.02142, use small rates for regression too. beta over its whole range:
        Seitzer et al. 2022, arXiv 2203.09168.
"""

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

SPACE: dict[str, BaseDistribution] = {
    "n_blocks": IntDistribution(1, 5),
    "d_block": IntDistribution(64, 256, step=32),
    "dropout": FloatDistribution(0.02, 0.5, log=True),
    "activation": CategoricalDistribution(["silu", "mish", "gelu", "relu"]),
    "normalization": CategoricalDistribution(["none", "batch_norm"]),
    "num_embedding": CategoricalDistribution(["periodic", "none"]),
    "frequency_scale": FloatDistribution(0.05, 5.0, log=True),
    "optimizer": CategoricalDistribution(["adamw", "adam"]),
    "lr": FloatDistribution(5e-4, 3e-2, log=True),
    "weight_decay": FloatDistribution(1e-5, 0.3, log=True),
    "batch_size": CategoricalDistribution([256, 512, 1024]),
    "epochs": IntDistribution(8, 64, log=True),
    "beta": FloatDistribution(0.0, 1.0),
}

SHORT = {
    "n_blocks": 2,
    "d_block": 96,
    "dropout": 0.2,
    "frequency_scale": 0.3,
    "lr": 0.003,
    "batch_size": 512,
    "epochs": 12,
}
LONG = {**SHORT, "n_blocks": 3, "d_block": 128, "dropout": 0.1, "lr": 0.01, "epochs": 40}

DEFAULTS = {
    "binary": [SHORT, LONG],
    "multiclass": [LONG, SHORT],
    "regression": [
        {**LONG, "dropout": 0.05, "frequency_scale": 1.0},
        {**LONG, "frequency_scale": 2.0, "activation": "mish"},
    ],
}

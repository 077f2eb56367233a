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
    "n_blocks": IntDistribution(1, 4),
    "d_block": IntDistribution(64, 384, step=32),
    "dropout": FloatDistribution(0.02, 0.5, log=True),
    "activation": CategoricalDistribution(["mish", "selu", "silu", "relu"]),
    "batch_norm": CategoricalDistribution([False, True]),
    "num_embedding": CategoricalDistribution(["periodic", "none"]),
    "frequency_scale": FloatDistribution(0.03, 3.0, log=True),
    "lr": FloatDistribution(0.01, 0.5, log=True),
    "weight_decay": FloatDistribution(1e-3, 0.3, log=True),
    "batch_size": CategoricalDistribution([256, 512, 1024]),
    "epochs": IntDistribution(8, 96, log=True),
    "beta": FloatDistribution(0.0, 1.0),
}

SHORT = {
    "n_blocks": 2,
    "d_block": 128,
    "dropout": 0.2,
    "frequency_scale": 0.1,
    "lr": 0.04,
    "batch_size": 512,
    "epochs": 12,
}
LONG = {**SHORT, "n_blocks": 3, "dropout": 0.3, "weight_decay": 0.05, "epochs": 64}
CLEAN = {**SHORT, "n_blocks": 3, "dropout": 0.1, "epochs": 40}

# What the family itself takes for a parameter that a starting point leaves out.
FAMILY_OWN = {
    "activation": "mish",
    "batch_norm": False,
    "num_embedding": "periodic",
    "weight_decay": 0.02,
    "beta": 0.5,
}

DEFAULTS = {
    "binary": [SHORT, LONG],
    "multiclass": [CLEAN, SHORT],
    "regression": [
        {**CLEAN, "lr": 0.1, "frequency_scale": 1.0, "dropout": 0.05},
        {**CLEAN, "lr": 0.1, "frequency_scale": 0.3},
    ],
}

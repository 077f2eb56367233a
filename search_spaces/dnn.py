"""DNN: where to search.

Sources:
    Starting points: RealMLP's tuned defaults (Holzmüller et al. 2024, arXiv 2407.04491, table A.1) with larger
        batches and fewer epochs, as they rank on five tables (california housing, protein, adult, credit default,
        letter; benchmarks/networks.py). Classes: a short fit for noisy targets and a long one for clean ones.
        Regression: higher frequencies. The last shares its layers between eight members (TabM-mini: Gorishniy
        et al. 2024, arXiv 2410.24210), which is slower and different, so worth having in an ensemble.
    Ranges: around these, as in the paper's own search; widths stop at 384, where an epoch of 24,000 rows costs
        a second on one core.
"""

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

SPACE: dict[str, BaseDistribution] = {
    "n_blocks": IntDistribution(1, 4),
    "d_block": IntDistribution(64, 384, step=32),
    "n_members": CategoricalDistribution([1, 4, 8]),
    "dropout": FloatDistribution(0.0, 0.5),
    "activation": CategoricalDistribution(["mish", "selu", "silu", "relu"]),
    "batch_norm": CategoricalDistribution([False, True]),
    "num_embedding": CategoricalDistribution(["periodic", "none"]),
    "frequency_scale": FloatDistribution(0.03, 3.0, log=True),
    "lr": FloatDistribution(0.01, 0.5, log=True),
    "weight_decay": FloatDistribution(1e-3, 0.3, log=True),
    "batch_size": CategoricalDistribution([256, 512, 1024]),
    "epochs": IntDistribution(8, 96, log=True),
}

SHORT = {
    "n_blocks": 3,
    "d_block": 128,
    "dropout": 0.3,
    "weight_decay": 0.05,
    "frequency_scale": 0.1,
    "lr": 0.04,
    "batch_size": 512,
    "epochs": 16,
}
LONG = {**SHORT, "epochs": 64}
CLEAN = {**LONG, "d_block": 256, "dropout": 0.15, "weight_decay": 0.02}

# What the family itself takes for a parameter that a starting point leaves out.
FAMILY_OWN = {
    "n_members": 1,
    "activation": "mish",
    "batch_norm": False,
    "num_embedding": "periodic",
}

DEFAULTS = {
    "binary": [SHORT, LONG, {**LONG, "n_members": 8, "epochs": 24}],
    "multiclass": [{**CLEAN, "epochs": 24}, CLEAN],
    "regression": [
        {**CLEAN, "lr": 0.2, "frequency_scale": 1.0, "epochs": 24},
        {**CLEAN, "lr": 0.2, "frequency_scale": 1.0},
        {**CLEAN, "d_block": 128, "lr": 0.2, "frequency_scale": 1.0, "n_members": 8, "epochs": 32},
    ],
}

"""XGBoost: where to search.

Sources:
    Starting points "tuned": Holzmüller et al. 2024, arXiv 2407.04491, tuned defaults for classification
        (learning_rate .08, max_depth 6, subsample .65, colsample_bylevel .9, min_child_weight 5e-6, reg_lambda
        0) and regression (.05, 9, .7, 1, 2, 1).
    Starting points "sampled columns": the same with fewer columns and more L2, which scored higher on credit
        default, adult and a loan table (AUC +.001 to +.007), california housing and concrete. Next to no L2
        for many classes, where each row's hessians are small and penalties slow every round.
    Ranges: around these. learning_rate from .02: below it, fits outlast budgets of minutes.
        min_child_weight over seven decades, because the tuned values lie that far apart.
"""

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(0.02, 0.2, log=True),
    "max_depth": IntDistribution(3, 11),
    "min_child_weight": FloatDistribution(1e-6, 32.0, log=True),
    "subsample": FloatDistribution(0.5, 1.0),
    "colsample_bytree": FloatDistribution(0.4, 1.0),
    "colsample_bylevel": FloatDistribution(0.4, 1.0),
    "reg_lambda": FloatDistribution(0.0, 10.0),
    "reg_alpha": FloatDistribution(0.0, 5.0),
    "gamma": FloatDistribution(0.0, 2.0),
}

TUNED = {
    "learning_rate": 0.08,
    "max_depth": 6,
    "min_child_weight": 5e-6,
    "subsample": 0.65,
    "colsample_bylevel": 0.9,
    "reg_lambda": 0.0,
}
SAMPLED_COLUMNS = {
    "learning_rate": 0.06,
    "max_depth": 6,
    "min_child_weight": 2.0,
    "subsample": 0.7,
    "colsample_bytree": 0.6,
    "colsample_bylevel": 0.6,
    "reg_lambda": 3.0,
}

# What the family itself takes for a parameter that a starting point leaves out.
FAMILY_OWN = {
    "colsample_bytree": 1.0,
    "colsample_bylevel": 1.0,
    "reg_lambda": 1.0,
    "reg_alpha": 0.0,
    "gamma": 0.0,
}

DEFAULTS = {
    "binary": [SAMPLED_COLUMNS, TUNED],
    "multiclass": [
        {
            **SAMPLED_COLUMNS,
            "learning_rate": 0.1,
            "min_child_weight": 0.01,
            "colsample_bylevel": 0.8,
            "reg_lambda": 0.01,
        },
        TUNED,
    ],
    "regression": [
        {
            "learning_rate": 0.05,
            "max_depth": 8,
            "min_child_weight": 3.0,
            "subsample": 0.7,
            "colsample_bylevel": 0.7,
            "reg_lambda": 3.0,
        },
        {
            "learning_rate": 0.05,
            "max_depth": 9,
            "min_child_weight": 2.0,
            "subsample": 0.7,
        },
    ],
}

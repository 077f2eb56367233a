"""LightGBM: where to search.

Sources:
    Starting points "tuned": Holzmüller et al. 2024, arXiv 2407.04491, tuned defaults for classification
        (learning_rate .04, num_leaves 50, min_data_in_leaf 40, bagging_fraction .75) and regression (.05, 100,
        3, .7).
    Starting points "sampled columns": smaller trees on half the columns each, which scored higher on credit
        default and adult (AUC +.001), letter, california housing and concrete. 20 rows a leaf instead of 40
        on the two first (AUC +.0003). Next to no L2 for classes: with many of them it slows each round
        (letter: 1,500 rounds at 1, 330 at .001).
    Starting points "extra trees": random thresholds; weaker alone on most tables, different, so worth having in
        an ensemble.
    min_sum_hessian_in_leaf .1 for classes, 100 times the library's: a leaf of rows that are all but certain has next
        to no hessian, its value explodes, and with rare classes the fit diverges (KDD-99, 23 classes: log-loss
        .58 before, .017 with it; letter: the same within .001, in twice the rounds).
    Ranges: around these. learning_rate from .02: below it, fits outlast budgets of minutes. num_leaves,
        min_data_in_leaf, feature_fraction, bagging_fraction, lambda_l2: LightGBM's own tuning guide.
        cat_smooth over two decades around the library's 10.
"""

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(0.02, 0.2, log=True),
    "num_leaves": IntDistribution(8, 256, log=True),
    "min_data_in_leaf": IntDistribution(1, 128, log=True),
    "min_sum_hessian_in_leaf": FloatDistribution(1e-3, 10.0, log=True),
    "bagging_fraction": FloatDistribution(0.5, 1.0),
    "feature_fraction": FloatDistribution(0.3, 1.0),
    "lambda_l2": FloatDistribution(1e-3, 20.0, log=True),
    "extra_trees": CategoricalDistribution([False, True]),
    "cat_smooth": FloatDistribution(1.0, 100.0, log=True),
}

TUNED = {
    "learning_rate": 0.04,
    "num_leaves": 50,
    "min_data_in_leaf": 40,
    "bagging_fraction": 0.75,
}
SAMPLED_COLUMNS = {
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 20,
    "bagging_fraction": 0.75,
    "feature_fraction": 0.5,
    "lambda_l2": 0.001,
}
EXTRA_TREES = {
    "learning_rate": 0.05,
    "num_leaves": 50,
    "min_data_in_leaf": 20,
    "bagging_fraction": 0.9,
    "feature_fraction": 0.7,
    "extra_trees": True,
}

MANY_CLASSES = {"min_sum_hessian_in_leaf": 0.1}

# What the family itself takes for a parameter that a starting point leaves out.
FAMILY_OWN = {
    "min_sum_hessian_in_leaf": 0.001,
    "feature_fraction": 1.0,
    "lambda_l2": 0.0,
    "extra_trees": False,
    "cat_smooth": 10.0,
}

DEFAULTS = {
    "binary": [SAMPLED_COLUMNS, TUNED, EXTRA_TREES],
    "multiclass": [
        {**SAMPLED_COLUMNS, **MANY_CLASSES, "learning_rate": 0.08},
        {**TUNED, **MANY_CLASSES},
        {**EXTRA_TREES, **MANY_CLASSES, "learning_rate": 0.1},
    ],
    "regression": [
        {
            **SAMPLED_COLUMNS,
            "num_leaves": 100,
            "min_data_in_leaf": 3,
            "feature_fraction": 0.6,
            "lambda_l2": 1.0,
        },
        {**TUNED, "learning_rate": 0.05, "num_leaves": 100, "min_data_in_leaf": 3, "bagging_fraction": 0.7},
        {**EXTRA_TREES, "num_leaves": 128, "min_data_in_leaf": 5, "feature_fraction": 0.9},
    ],
}

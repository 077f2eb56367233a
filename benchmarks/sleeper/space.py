"""Sleeper: where to search."""

from optuna.distributions import FloatDistribution

SPACE = {"x": FloatDistribution(0.0, 1.0)}
DEFAULTS = {key: [{"x": 0.5}] for key in ("binary", "multiclass", "regression")}

"""Toy: where to search."""

from optuna.distributions import FloatDistribution, IntDistribution

SPACE = {"steps": IntDistribution(50, 400), "lr": FloatDistribution(0.01, 0.3, log=True)}
DEFAULTS = {
    key: [{"steps": 200, "lr": 0.1}, {"steps": 100, "lr": 0.3}]
    for key in ["binary", "multiclass", "regression"]
}

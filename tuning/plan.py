"""A job that has been checked and not begun: its configuration, its table, its metric."""

from __future__ import annotations

from dataclasses import dataclass

from configs.schema import JobConfig
from data.dataset import TabularDataset, read_dataset
from data.examination import Sample
from data.metrics import Metric, default_metric, get_metric
from ensembles.thresholds import check_goal
from errors import ConfigError
from tuning.runs import Run
from tuning.spaces import check_families, family_spaces

LEAST_BUDGET_S = 10.0


@dataclass(frozen=True)
class Plan:
    """A job whose configuration and data have been checked; nothing has started.

    Attributes:
        config: With problem type and metric filled in.
        dataset: The table.
        metric: What is optimised.
        sample: Training rows to examine; None of a run that goes on.
    """

    config: JobConfig
    dataset: TabularDataset
    metric: Metric
    sample: Sample | None = None


def plan_sweep(config: JobConfig) -> Plan:
    """Check everything that can be checked before any work starts.

    Raises: ConfigError, DataError: what is wrong, and where.
    """
    check_families(config)
    seconds = config.search.time_budget_s
    if seconds is not None and seconds < LEAST_BUDGET_S:
        raise ConfigError(
            f"search.time_budget_s: got {seconds:g}; allowed: {LEAST_BUDGET_S:g} or more seconds, of which Ray and the "
            "table take the first five"
        )
    if config.params:
        asked = config.problem_type
        family_spaces(config, "binary" if asked in (None, "classification") else asked)
    dataset, sample = read_dataset(config.data, config.problem_type, config.seed)
    return _plan(config, dataset, sample)


def plan_resumed(run: Run, config: JobConfig) -> Plan:
    """The plan of a run that goes on, with the table it has stored.

    Raises: ConfigError, DataError: what is wrong, and where.
    """
    check_families(config)
    return _plan(config, TabularDataset.load(run.dataset))


def _plan(config: JobConfig, dataset: TabularDataset, sample: Sample | None = None) -> Plan:
    check_goal(config.ensemble.threshold, dataset.target.classes)
    metric = get_metric(config.metric or default_metric(dataset.problem_type), dataset.problem_type)
    resolved = config.model_copy(update={"metric": metric.name, "problem_type": dataset.problem_type})
    if config.params:
        family_spaces(resolved, dataset.problem_type)
    return Plan(resolved, dataset, metric, sample)

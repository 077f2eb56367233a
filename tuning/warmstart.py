"""What an earlier run teaches a new one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from configs.schema import JobConfig
from data.dataset import TabularDataset
from data.metrics import Metric
from models.trials import StoredTrial, read_trials
from tuning.runs import find_run
from tuning.spaces import FamilySpace
from tuning.studies import holds

BEST = 3


def warm_points(
    config: JobConfig, dataset: TabularDataset, metric: Metric, spaces: dict[str, FamilySpace]
) -> dict[str, FamilySpace]:
    """Spaces whose portfolios begin with the best trials of the run named by `search.warm_start`.

    Args:
        config: The job.
        dataset: Its table.
        metric: What it optimises.
        spaces: What it searches.

    Raises: ConfigError: no such run.
    """
    if config.search.warm_start is None:
        return spaces
    run = find_run(config.search.warm_start, Path(config.runs))
    sign = 1 if metric.mode == "max" else -1
    trials = [t for t in read_trials(run.trials) if t.state == "completed"]
    trials.sort(key=lambda t: -sign * t.score)
    same = (
        run.config().metric == metric.name
        and TabularDataset.load(run.dataset).fingerprint == dataset.fingerprint
    )
    return {family: _warm(space, trials, same=same) for family, space in spaces.items()}


def _warm(space: FamilySpace, trials: list[StoredTrial], *, same: bool) -> FamilySpace:
    mine = [t for t in trials if t.family == space.family and holds(space.space, t.params)]
    points = [{name: t.params[name] for name in space.space} for t in mine[:BEST]]
    n_warm = len(points)
    points += [p for p in space.portfolio if p not in points]
    seen = tuple((t.params, tuple(t.running_means)) for t in mine) if same else ()
    return replace(space, portfolio=tuple(points), n_warm=n_warm, seen=seen)

"""A search that begins where an earlier one ended."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from configs.load import override_config
from data.dataset import TabularDataset
from data.metrics import get_metric
from errors import ConfigError
from models.trials import read_trials
from tuning.runs import Run
from tuning.spaces import family_spaces
from tuning.warmstart import warm_points


@pytest.fixture(scope="module")
def earlier(binary_job):
    run = Run(binary_job.run)
    config = override_config(run.config(), [f"search.warm_start={run.path}"], ("search",))
    metric = get_metric(config.metric, config.problem_type)
    return SimpleNamespace(
        run=run,
        config=config,
        metric=metric,
        dataset=TabularDataset.load(run.dataset),
        spaces=family_spaces(config, config.problem_type),
        best=sorted((t for t in read_trials(run.trials) if t.state == "completed"), key=lambda t: -t.score),
    )


def test_the_best_trials_of_each_family_come_first(earlier):
    warm = warm_points(earlier.config, earlier.dataset, earlier.metric, earlier.spaces)
    for family, space in warm.items():
        mine = [t for t in earlier.best if t.family == family]
        assert space.n_warm == min(3, len(mine)) > 0
        expected = [{name: t.params[name] for name in space.space} for t in mine[:3]]
        assert list(space.portfolio[: space.n_warm]) == expected
        assert {str(p) for p in earlier.spaces[family].portfolio} <= {str(p) for p in space.portfolio}
        assert len(space.seen) == len(mine)


def test_scores_on_another_table_are_not_believed(earlier):
    other = replace(earlier.dataset, fingerprint="another")
    warm = warm_points(earlier.config, other, earlier.metric, earlier.spaces)
    assert all(space.seen == () and space.n_warm for space in warm.values())


def test_points_outside_a_narrowed_space_are_left_out(earlier):
    narrow = override_config(earlier.config, ["params.lightgbm.num_leaves={low: 3, high: 4}"], ("params",))
    spaces = family_spaces(narrow, narrow.problem_type)
    assert warm_points(narrow, earlier.dataset, earlier.metric, spaces)["lightgbm"].n_warm == 0


def test_an_unknown_run_is_named(earlier):
    wrong = override_config(earlier.config, ["search.warm_start=nothing"], ("search",))
    with pytest.raises(ConfigError, match="'nothing': no such run"):
        warm_points(wrong, earlier.dataset, earlier.metric, earlier.spaces)

"""Every space: names and values its family accepts, starting points inside."""

from importlib import import_module

import optuna
import pytest

from models.families import FAMILIES, get_family
from search_spaces import get_space

PROBLEM_TYPES = ("binary", "multiclass", "regression")
CASES = [(family, problem_type) for family in FAMILIES for problem_type in PROBLEM_TYPES]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_key_is_a_parameter(family):
    space, _ = get_space(family, "binary")
    assert space.keys() <= get_family(family).check_params({}).keys()


@pytest.mark.parametrize(("family", "problem_type"), CASES)
def test_starting_points_lie_in_the_space(family, problem_type):
    space, complete = get_space(family, problem_type)
    defaults = import_module(f"search_spaces.{family}").DEFAULTS[problem_type]
    assert len(defaults) >= 2
    for params, point in zip(defaults, complete, strict=True):
        assert point.items() >= params.items()
        assert point.keys() == space.keys()
        for name, value in params.items():
            assert space[name]._contains(space[name].to_internal_repr(value)), (name, value)
        full = get_family(family).check_params(params)
        assert full.items() >= params.items()


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_starting_point_leaves_out_is_the_familys_own(family):
    own = getattr(import_module(f"search_spaces.{family}"), "FAMILY_OWN", {})
    full = get_family(family).check_params({})
    assert own == {name: full[name] for name in own}


@pytest.mark.parametrize("family", FAMILIES)
def test_samples_construct(family):
    space, _ = get_space(family, "regression")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = []
    for _ in range(20):
        params = study.ask(space).params
        assert get_family(family).check_params(params).items() >= params.items()
        seen.append(tuple(params.values()))
    assert len(set(seen)) == 20


def test_a_space_is_a_copy():
    space, defaults = get_space("lightgbm", "binary")
    space.clear()
    defaults[0].clear()
    again, fresh = get_space("lightgbm", "binary")
    assert again
    assert fresh[0]


def test_starting_points_differ_by_problem_type():
    for family in FAMILIES:
        points = [get_space(family, problem_type)[1] for problem_type in PROBLEM_TYPES]
        assert len({str(point) for point in points}) == len(PROBLEM_TYPES)

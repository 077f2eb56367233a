import time

import pytest

from tuning.budget import Budget


@pytest.mark.parametrize("total", [1, 5, 20, 60, 300, 3600])
@pytest.mark.parametrize("has_test", [False, True])
def test_a_part_is_kept_for_the_ensemble_and_most_is_searched(total, has_test):
    budget = Budget(1000.0, total, has_test)
    assert 0 < budget.reserve_s <= total / 2
    assert budget.search_end == 1000.0 + total - budget.reserve_s
    assert budget.reserve_s >= Budget(1000.0, total).reserve_s
    refit = Budget(1000.0, total, has_test, refit=True)
    assert budget.reserve_s <= refit.reserve_s <= total / 2
    assert total <= 5 or refit.reserve_s >= 1.5 * budget.reserve_s


def test_no_limit_never_ends():
    budget = Budget(time.time())
    assert budget.search_end is None
    assert budget.left_s() == float("inf")


def test_time_counts_from_the_start_of_the_command():
    budget = Budget(time.time() - 30, 60)
    assert budget.left_s() == pytest.approx(30 - budget.reserve_s, abs=0.5)
    assert budget.elapsed_s() == pytest.approx(30, abs=0.5)

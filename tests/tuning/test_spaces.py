import math

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from configs.load import load_config
from errors import ConfigError
from models.families import FAMILIES
from tuning.spaces import check_families, family_spaces


def spaces(*overrides):
    return family_spaces(load_config(["data.source=t.csv", "data.target=y", *overrides]), "binary")


def test_every_family_has_a_portfolio_inside_its_space():
    for family, space in spaces().items():
        assert space.portfolio, family
        for point in space.portfolio:
            assert set(point) == set(space.space)
            for name, distribution in space.space.items():
                assert distribution._contains(distribution.to_internal_repr(point[name])), (family, name)


def test_a_value_freezes_a_parameter():
    space = spaces("families=dnn", "params.dnn.dropout=0.25")["dnn"]
    assert space.fixed == {"dropout": 0.25}
    assert "dropout" not in space.space
    assert all("dropout" not in point for point in space.portfolio)
    assert space.size == math.inf


def test_low_and_high_narrow_and_a_list_chooses():
    space = spaces(
        "families=[dnn,lightgbm]",
        "params.lightgbm.num_leaves={low: 8, high: 16}",
        "params.lightgbm.learning_rate={low: 0.05, high: 0.1}",
        "params.dnn.activation=[relu,gelu]",
    )
    leaves, rate = (space["lightgbm"].space[n] for n in ("num_leaves", "learning_rate"))
    assert isinstance(leaves, IntDistribution)
    assert (leaves.low, leaves.high) == (8, 16)
    assert isinstance(rate, FloatDistribution)
    assert rate.log
    assert all(8 <= p["num_leaves"] <= 16 for p in space["lightgbm"].portfolio)
    assert isinstance(space["dnn"].space["activation"], CategoricalDistribution)
    assert all(p["activation"] in ("relu", "gelu") for p in space["dnn"].portfolio)


def test_everything_fixed_is_one_configuration():
    free = spaces("families=dnn")["dnn"].space
    values = spaces("families=dnn")["dnn"].portfolio[0]
    space = spaces("families=dnn", *(f"params.dnn.{name}={values[name]}" for name in free))["dnn"]
    assert space.size == 1
    assert space.portfolio == ({},)


def test_a_parameter_outside_the_space_can_be_fixed_too():
    assert spaces("families=dnn", "params.dnn.hidden_dims=[64,32]")["dnn"].fixed == {"hidden_dims": [64, 32]}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("params.dnn.dropuot=0.1", "dropout"),
        ("params.dnn.dropout=lots", "dropout"),
        ("params.dnn.dropout={low: 0.5, high: 0.1}", "dropout"),
        ("params.dnn.dropout={from: 0.1, to: 0.5}", "low, high"),
        ("params.dnn.dropout=[]", "empty"),
        ("params.dnn.dropout=[0.1,7]", "dropout"),
        ("params.dnn.activation={low: 1, high: 2}", "activation"),
        ("params.dnn.dropuot={low: 0.1, high: 0.5}", "dropout"),
    ],
)
def test_wrong_params_name_the_right_ones(override, expected):
    with pytest.raises(ConfigError, match=expected):
        spaces("families=dnn", override)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["families=[dnn,dnn]"], "named twice"),
        (["families=[dnn]", "params.bnn.lr=0.1"], "not searched"),
        (["families=[dmn]"], "did you mean 'dnn'"),
    ],
)
def test_wrong_families(overrides, expected):
    with pytest.raises(ConfigError, match=expected):
        check_families(load_config(["data.source=t.csv", "data.target=y", *overrides]))


def test_narrowed_bounds_outside_the_family_are_refused():
    with pytest.raises(ConfigError, match="dropout"):
        spaces("families=dnn", "params.dnn.dropout={low: 0.1, high: 7}")


def test_every_family_of_the_table_has_a_space():
    assert set(spaces()) == set(FAMILIES)


def test_what_a_fixed_parameter_makes_meaningless_is_not_searched():
    widths = spaces("families=dnn", "params.dnn.hidden_dims=[64,32]")["dnn"].space
    assert not {"n_blocks", "d_block"} & set(widths)
    assert "frequency_scale" not in spaces("families=bnn", "params.bnn.num_embedding=none")["bnn"].space
    assert (
        "frequency_scale" in spaces("families=bnn", "params.bnn.num_embedding=[none,periodic]")["bnn"].space
    )
    assert "n_blocks" in spaces("families=dnn", "params.dnn.hidden_dims=null")["dnn"].space
    assert (
        "bagging_fraction"
        not in spaces("families=lightgbm", "params.lightgbm.bagging_freq=0")["lightgbm"].space
    )


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["params.dnn.hidden_dims=[64,32]", "params.dnn.n_blocks=2"],
            r"n_blocks=2: .*params\.dnn\.hidden_dims",
        ),
        (["params.dnn.hidden_dims=[64]", "params.dnn.d_block={low: 64, high: 96}"], r"d_block=.*how wide"),
        (["params.dnn.num_embedding=none", "params.dnn.frequency_scale=1"], "only the periodic embedding"),
        (["params.lightgbm.bagging_freq=0", "params.lightgbm.bagging_fraction=0.5"], "switches bagging off"),
        (["params.bnn.kl_weight=0", "params.bnn.kl_warmup=0.5"], "none to warm up"),
        (["params.bnn.beta=0.5"], "the target has classes"),
    ],
)
def test_and_refused_where_it_is_given(overrides, expected):
    with pytest.raises(ConfigError, match=expected):
        spaces(*overrides)

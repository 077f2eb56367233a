import pytest

from errors import ConfigError
from models.families import get_family


def message(family, params):
    with pytest.raises(ConfigError) as error:
        get_family(family).check_params(params)
    return str(error.value)


def test_unknown_name():
    text = message("dnn", {"dropuot": 0.1})
    assert text.startswith("params.dnn: unknown parameter 'dropuot' (did you mean 'dropout'?); allowed: ")
    assert "weight_decay" in text


def test_unknown_name_like_none_has_no_hint():
    assert "did you mean" not in message("dnn", {"zzz": 0.1})


@pytest.mark.parametrize(
    ("family", "name", "ours"),
    [
        ("lightgbm", "n_estimators", "num_boost_round"),
        ("lightgbm", "min_child_samples", "min_data_in_leaf"),
        ("xgboost", "eta", "learning_rate"),
        ("bnn", "learning_rate", "lr"),
    ],
)
def test_other_libraries_names_lead_to_ours(family, name, ours):
    assert f"did you mean '{ours}'?" in message(family, {name: 1})


@pytest.mark.parametrize(
    ("family", "params", "text"),
    [
        ("dnn", {"dropout": 1.5}, "params.dnn.dropout: got 1.5; allowed: a number >= 0 and <= 0.95"),
        ("dnn", {"dropout": float("nan")}, "params.dnn.dropout: got nan; allowed: a number >= 0 and <= 0.95"),
        ("dnn", {"lr": "fast"}, "params.dnn.lr: got 'fast'; allowed: a number > 0 and <= 1"),
        ("dnn", {"n_blocks": 2.5}, "params.dnn.n_blocks: got 2.5; allowed: an integer >= 1 and <= 16"),
        (
            "dnn",
            {"activation": "tanh"},
            "params.dnn.activation: got 'tanh'; allowed: relu, gelu, silu, mish, selu",
        ),
        (
            "dnn",
            {"hidden_dims": [8, 0]},
            "params.dnn.hidden_dims: got [8, 0]; allowed: null or a list of 1 to 16 widths, each 1 to 4096",
        ),
        (
            "lightgbm",
            {"extra_trees": "maybe"},
            "params.lightgbm.extra_trees: got 'maybe'; allowed: true or false",
        ),
        (
            "xgboost",
            {"subsample": 0, "max_depth": 0},
            "params.xgboost.max_depth: got 0; allowed: an integer >= 1 and <= 64; "
            "params.xgboost.subsample: got 0; allowed: a number > 0 and <= 1",
        ),
    ],
)
def test_value_out_of_range(family, params, text):
    assert message(family, params) == text

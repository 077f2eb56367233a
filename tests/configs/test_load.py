from pathlib import Path

import pytest

from configs.load import (
    CONFIG_DIR,
    GROUPS,
    default_name,
    load_config,
    load_section,
    override_config,
    read_config,
    save_config,
)
from errors import ConfigError

TABLE = ("data.source=churn.csv", "data.target=churned")
PRESETS = [
    (group, path.stem)
    for group in GROUPS
    if group not in ("experiment", "serving")
    for path in (CONFIG_DIR / group).glob("*.yaml")
]
EXPERIMENTS = [path.stem for path in (CONFIG_DIR / "experiment").glob("*.yaml")]


@pytest.mark.parametrize(("group", "preset"), PRESETS)
def test_every_preset_composes(group, preset):
    assert load_config([*TABLE, f"{group}={preset}"]).data.source == "churn.csv"


def test_the_preset_of_the_server_composes():
    assert load_section("serving", ["serving=default"]).port == 8000


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_and_names_a_table_that_is_there(experiment):
    config = load_config([f"experiment={experiment}"])
    assert Path(config.data.source).is_file()


def test_two_keys_are_enough():
    config = load_config(TABLE)
    assert config.name == "churn"
    assert config.search.time_budget_s == 300
    assert set(config.families) == {"lightgbm", "xgboost", "dnn", "mc_dropout", "bnn"}


def test_a_number_of_trials_replaces_the_default_time_budget():
    assert load_config([*TABLE, "search.num_trials=50"]).search.time_budget_s is None


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.sorce=x", ["data.sorce", "command line", "data.source"]),
        ("serch.num_trials=3", ["serch", "command line", "'search'"]),
        ("data.test_size=1.5", ["data.test_size", "less than 1", "1.5"]),
        ("search.time_budget_s=0", ["search.time_budget_s", "greater than 0"]),
        ("search.num_trials=0", ["search.num_trials", "greater than 0"]),
        ("search.num_trials=many", ["search.num_trials", "'many'"]),
        ("metric=auc", ["metric", "'auc'", "roc_auc"]),
        ("families=[]", ["families", "at least 1"]),
        ("name=a/b", ["name", "'a/b'"]),
        ("search=slow", ["search=slow", "default", "quick"]),
        ("nonsense", ["nonsense", "key=value"]),
        ("data.ignore=[a", ["[a", "list"]),
        ("data=../secret", ["data=../secret", "no such preset"]),
    ],
)
def test_a_mistake_names_the_key_the_value_and_what_is_allowed(override, expected):
    with pytest.raises(ConfigError) as caught:
        load_config([*TABLE, override])
    for part in expected:
        assert part in str(caught.value)


def test_missing_target_says_how_to_give_it():
    with pytest.raises(ConfigError, match=r"data.target: required.*data.target=VALUE"):
        load_config(["data.source=churn.csv"])


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("data.target=default payment next month", "default payment next month"),
        ("data.target=채무 불이행 여부", "채무 불이행 여부"),
        ("data.target=a,b", "a,b"),
        ("data.target=it's", "it's"),
        ("data.target=x=1", "x=1"),
        ("data.target=3", "3"),
        ("data.target=[x]y", "[x]y"),
    ],
)
def test_any_column_name_can_be_a_target(override, value):
    assert load_config(["data.source=t.csv", override]).data.target == value


def test_lists_of_names_beyond_ascii():
    config = load_config([*TABLE, "data.ignore=[UID,대출 목적]"])
    assert config.data.ignore == ("UID", "대출 목적")


def test_a_single_family_needs_no_brackets():
    assert load_config([*TABLE, "families=dnn"]).families == ("dnn",)


def test_folder_of_ones_own(tmp_path):
    (tmp_path / "experiment").mkdir()
    mine = tmp_path / "experiment" / "mine.yaml"
    mine.write_text("# @package _global_\ndata: {source: a.csv, target: y}\nsearch: {num_trials: 7}\n")
    config = load_config(["experiment=mine"], tmp_path)
    assert (config.data.source, config.search.num_trials) == ("a.csv", 7)
    mine.write_text("# @package _global_\ndata: {source: a.csv, target: y, test_sise: 0.2}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(["experiment=mine"], tmp_path)
    assert str(mine) in str(caught.value)
    assert "data.test_size" in str(caught.value)


def test_folders_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("RUNS", "/there/runs")
    monkeypatch.setenv("TABULARAY_REGISTRY", "/there/models")
    config = load_config(TABLE)
    assert (config.runs, config.registry) == ("/there/runs", "/there/models")


def test_saved_configuration_reads_back_equal(tmp_path):
    config = load_config([*TABLE, "params.dnn.dropout=0.2", "data.ignore=[채무]"])
    save_config(config, tmp_path / "config.yaml")
    assert read_config(tmp_path / "config.yaml") == config
    (tmp_path / "config.yaml").write_text("families: 3")
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        read_config(tmp_path / "config.yaml")


def test_one_section_alone():
    assert load_section("serving", ["serving.port=9000"]).port == 9000
    with pytest.raises(ConfigError, match=r"serving\.prot.*serving\.port"):
        load_section("serving", ["serving.prot=9000"])
    with pytest.raises(ConfigError, match="serving"):
        load_section("serving", ["data.source=x"])


def test_only_some_keys_of_a_finished_run_change():
    config = load_config(TABLE)
    changed = override_config(config, ["ensemble.max_members=3"], ("ensemble",))
    assert changed.ensemble.max_members == 3
    with pytest.raises(ConfigError, match="only these can change"):
        override_config(config, ["data.source=x"], ("ensemble",))
    with pytest.raises(ConfigError, match=r"ensemble\.max_members"):
        override_config(config, ["ensemble.max_membres=3"], ("ensemble",))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a/b/churn.csv.gz", "churn"),
        ("churn data (1).parquet", "churn_data_1"),
        ("대출.csv", "대출"),
        ("...", "model"),
    ],
)
def test_default_name_is_safe_as_a_folder(source, name):
    assert default_name(source) == name

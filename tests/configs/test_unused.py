"""A setting that nothing would read is refused, with what to use instead; one that is read never is."""

import pytest

from configs.load import load_config, load_inspected, load_section, override_config
from configs.nearest import keys
from configs.unused import RULES
from errors import ConfigError

TABLE = ("data.source=churn.csv", "data.target=churned")
MLFLOW = "tracking.backend=mlflow"
UNUSED = [
    (["serving.port=9000"], "tabularay serve"),
    (["serving.training.enabled=false"], "tabularay serve"),
    (["serving=default"], "tabularay serve"),
    (["cluster.address=10.0.0.1:6379", "cluster.num_cpus=4"], "search.max_concurrent"),
    (["cluster=running", "cluster.num_gpus=1"], "search.max_concurrent"),
    (["cluster.jobs_address=http://10.0.0.1:8265"], "tabularay submit"),
    (["search.scheduler=median", "search.reduction_factor=2"], "search.scheduler=race"),
    (["search.scheduler=none", "search.reduction_factor=3.0"], "search.scheduler=race"),
    (["data.val_size=0.2", "search.scheduler=race"], "data.n_folds"),
    (["data.val_size=0.2", "data.holdout_rows=0"], "leave it out"),
    (["data.n_folds=3", "data.holdout_rows=100"], "leave it out"),
    (["search.num_trials=5", "search.choice=time"], "search.time_budget_s"),
    (["families=dnn", "search.choice=time"], "none to choose"),
    (["families=dnn", "search.resources.dnn.cpus=2", "search.cpus_per_trial=3"], "search.resources"),
    (
        ["families=[dnn]", "search.resources={dnn: {gpus: 0.5}}", "search.gpus_per_trial=1"],
        "search.resources",
    ),
    (["families=lightgbm", "search.gpus_per_trial=0.5"], "CPU"),
    ([MLFLOW, "tracking.mode=online"], "tracking.uri"),
    (["tracking=mlflow", "tracking.mode=offline"], "tracking.uri"),
    ([MLFLOW, "tracking.entity=me"], "tracking.project"),
    (["tracking.uri=sqlite:///a.db"], MLFLOW),
]


@pytest.mark.parametrize(("overrides", "instead"), UNUSED)
def test_what_nothing_reads_is_refused_with_what_to_use(overrides, instead):
    with pytest.raises(ConfigError) as caught:
        load_config([*TABLE, *overrides])
    message = str(caught.value)
    assert message.startswith(f"{overrides[-1]}: nothing uses it here: ")
    assert instead in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "overrides",
    [
        ["cluster.num_cpus=4"],
        ["cluster=running", "cluster.num_cpus=null"],
        ["search.scheduler=race", "search.reduction_factor=2"],
        ["data.val_size=0.2", "search.scheduler=none"],
        ["search.num_trials=5", "search.time_budget_s=60", "search.choice=time"],
        ["search.resources.dnn.cpus=2", "search.cpus_per_trial=3"],
        ["search.gpus_per_trial=0.5"],
        [MLFLOW, "tracking.mode=disabled"],
        [MLFLOW, "tracking.uri=sqlite:///a.db"],
        ["tracking.entity=me", "tracking.mode=online"],
        ["tracking=none", "tracking.project=later"],
        ["cluster=running"],
        ["data.val_size=0.2"],
    ],
)
def test_what_is_read_is_taken(overrides):
    load_config([*TABLE, *overrides])


def test_a_preset_of_ones_own_may_serve_several_jobs(tmp_path):
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\nsearch: {reduction_factor: 2}\nserving: {port: 9000}\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    config = load_config([*TABLE, "experiment=mine", "search.scheduler=none"], tmp_path)
    assert config.search.reduction_factor == 2


def test_a_job_that_is_sent_takes_what_sends_it():
    load_config([*TABLE, "cluster.jobs_address=http://10.0.0.1:8265"], command="submit")
    with pytest.raises(ConfigError, match="ray start --num-cpus"):
        load_config([*TABLE, "cluster.num_cpus=4"], command="submit")


@pytest.mark.parametrize("override", ["search.num_trials=3", "metric=f1", "families=dnn", "serving.port=1"])
def test_a_look_at_a_table_takes_the_tables_settings(override):
    load_inspected(["data.ignore=[id]", "problem_type=binary"], None, {"source": "t.csv"})
    with pytest.raises(ConfigError, match=rf"{override}.*takes data\.\*, problem_type and experiment"):
        load_inspected([override], None, {"source": "t.csv"})


def test_of_a_finished_run():
    config = load_config([*TABLE, MLFLOW])
    with pytest.raises(ConfigError, match=r"tracking\.mode=online: .*MLflow"):
        override_config(config, ["tracking.mode=online"], ("tracking",), "track")
    with pytest.raises(ConfigError, match=r"tracking\.finish_timeout_s=3: .*waits until all is sent"):
        override_config(config, ["tracking.finish_timeout_s=3"], ("tracking",), "track")
    assert (
        override_config(config, ["tracking.finish_timeout_s=3"], ("tracking",)).tracking.finish_timeout_s == 3
    )
    with pytest.raises(ConfigError, match=r"reduction_factor=2: nothing uses it here"):
        override_config(config, ["search.scheduler=none", "search.reduction_factor=2"], ("search",))


@pytest.mark.parametrize(
    ("overrides", "instead"),
    [
        (["serving.training.enabled=false", "serving.training.max_running=2"], "serving.training.enabled"),
        (["serving.training.address=http://h:8265", "serving.training.cpus=2"], "serving.training.address"),
        (["serving.target_busy=0.5"], "serving.max_replicas"),
        (
            ["serving.replicas=2", "serving.max_replicas=2", "serving.scale_up_after_s=1"],
            "serving.max_replicas",
        ),
    ],
)
def test_of_the_server(overrides, instead):
    with pytest.raises(ConfigError, match="nothing uses it here") as caught:
        load_section("serving", overrides)
    assert instead in str(caught.value)
    load_section("serving", overrides[:-1])


@pytest.mark.parametrize(
    "folder", ["s3://bucket/runs", "gs://b/r", "https://host/runs", "file:///tmp/runs", ""]
)
def test_runs_are_in_a_folder(folder, monkeypatch):
    with pytest.raises(
        ConfigError, match=r"^runs=.*allowed: a folder.*allowed for registry and data\.source"
    ):
        load_config([*TABLE, f"runs={folder}"])
    if not folder:
        return
    monkeypatch.setenv("TABULARAY_RUNS", folder)
    with pytest.raises(ConfigError, match="allowed: a folder"):
        load_config(TABLE)
    with pytest.raises(ConfigError, match=r"serving\.training\.runs="):
        load_section("serving", [])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("time_budget=60", "search.time_budget_s"),
        ("time_budget_s=60", "search.time_budget_s"),
        ("search.time_budget=60", "search.time_budget_s"),
        ("data.time_budget=60", "search.time_budget_s"),
        ("num_trials=3", "search.num_trials"),
        ("n_trials=3", "search.num_trials"),
        ("target=y", "data.target"),
        ("source=t.csv", "data.source"),
        ("test_size=0.2", "data.test_size"),
        ("search.n_folds=3", "data.n_folds"),
        ("n_folds=3", "data.n_folds"),
        ("max_members=3", "ensemble.max_members"),
        ("Sampler=gp", "search.sampler"),
        ("port=80", "serving.port"),
        ("data.sorce=x", "data.source"),
        ("cpus=3", "search.cpus_per_trial"),
        ("model=dnn", "families"),
        ("n_jobs=4", "cluster.num_cpus"),
        ("timeout=60", "search.time_budget_s"),
        ("serving.prot=80", "serving.port"),
        ("serch.num_trials=3", "search"),
    ],
)
def test_the_nearest_key_of_any_section_is_named(typed, meant):
    with pytest.raises(ConfigError) as caught:
        load_config([*TABLE, typed])
    assert f"did you mean '{meant}'" in str(caught.value)


@pytest.mark.parametrize("typed", ["zzz=1", "search.zzz=1", "qqq.zzz=3", "dropout=0.2", "lr=1"])
def test_where_none_is_near_what_there_is_is_named(typed):
    with pytest.raises(ConfigError, match=r"allowed: .*(families|time_budget_s)"):
        load_config([*TABLE, typed])


def test_the_server_and_finished_runs_name_it_too():
    with pytest.raises(ConfigError, match=r"did you mean 'serving\.port'"):
        load_section("serving", ["port=9000"])
    config = load_config(TABLE)
    with pytest.raises(ConfigError, match=r"did you mean 'ensemble\.max_members'"):
        override_config(config, ["max_members=3"], ("ensemble",))


def test_every_rule_is_of_keys_that_there_are():
    for rule in RULES:
        assert set(rule.keys) <= set(keys()), rule


@pytest.mark.parametrize("registry", ["http://h/x", "ftp://h/x", "redis:models", "postgresql://h/db", ""])
def test_models_are_registered_in_a_folder_or_a_store(registry):
    with pytest.raises(ConfigError, match=r"^registry=.*allowed: a folder, s3://BUCKET/\.\.\., gs://"):
        load_config([*TABLE, f"registry={registry}"])
    for allowed in ("s3://bucket/models", "gs://bucket/models", "there/models", "/abs"):
        assert load_config([*TABLE, f"registry={allowed}"]).registry == allowed

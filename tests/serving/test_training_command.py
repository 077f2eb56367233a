"""What is asked of training over HTTP: what becomes of it, and what is refused at once."""

import csv

import pytest

from configs.load import load_config
from errors import ConfigError, DataError
from models.dnn import DNNParams
from serving.problems import code_of
from serving.training_command import job_overrides
from serving.training_schema import NetworkConfig, NetworkTraining, TrainRequest
from tests.serving.training import CHECKER, NETWORK, SWEEP, Service
from tuning.plan import plan_sweep


def test_one_network_is_the_command_that_a_user_would_type(service):
    answer = service.post(NETWORK)
    assert answer.status_code == 202
    assert answer.json() == {
        "task_id": answer.json()["task_id"],
        "status": "pending",
        "message": "accepted, next",
    }
    assert answer.headers["location"] == f"/api/ml/train/status/{answer.json()['task_id']}"
    job = service.job(answer)
    assert (job.families, job.search.num_trials) == (("dnn",), 1)
    assert job.params == {
        "dnn": {
            **{"hidden_dims": [32, 16], "dropout": 0.2, "activation": "relu"},
            **{"epochs": 3, "batch_size": 64, "lr": 0.01, "optimizer": "adam"},
        }
    }
    assert (job.data.test_size, job.data.val_size, job.problem_type) == (0.25, 0.2, "binary")
    assert (job.data.source, job.data.target) == (str(service.folder / "tables/table.csv"), "target")
    assert (job.name, job.alias, job.promote) == ("table", "candidate", False)
    assert (job.runs, job.registry) == (str(service.folder / "runs"), str(service.folder / "registry"))
    assert job.cluster.address == "auto"


def test_a_sweep(service):
    search = {
        "families": ["lightgbm", "dnn"],
        "num_trials": 7,
        "time_budget_s": 90.5,
        "metric": "log_loss",
        "params": {
            "dnn": {"activation": ["relu", "silu"]},
            "lightgbm": {"num_leaves": {"low": 8, "high": 64}},
        },
        "n_folds": 3,
    }
    job = service.job(service.post({**SWEEP, "search": search, "name": "mine", "promote": True, "seed": 3}))
    assert (job.families, job.metric, job.seed) == (("lightgbm", "dnn"), "log_loss", 3)
    assert (job.search.num_trials, job.search.time_budget_s) == (7, 90.5)
    assert job.params == search["params"]
    assert (job.data.n_folds, job.data.test_size) == (3, 0.2)
    assert (job.name, job.promote, job.alias) == ("mine", True, "candidate")


def test_settings_for_every_task_yield_to_the_request(tmp_path):
    service = Service(tmp_path, overrides=("tracking=none", "search.time_budget_s=50", "seed=7"))
    job = service.job(service.post({**SWEEP, "seed": 1}))
    assert (job.tracking.mode, job.search.time_budget_s, job.seed) == ("disabled", 50, 1)


@pytest.mark.parametrize(
    "text",
    ["${oc.env:HOME}", "null", "a b", "종류", "x'y", "{a: 1}", "[1]", "a=b", "\\", "search.num_trials=9"],
)
def test_text_of_a_request_is_text(service, text):
    with service.table.open("w", newline="") as file:
        csv.writer(file).writerows([["a", text], [1, 0]])
    job = service.job(service.post({**SWEEP, "target_column": text, "ignore": [text]}))
    assert (job.data.target, job.data.ignore) == (text, (text,))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"target_column": None}, "target_column"),
        ({"epochs": 3}, "epochs"),
        ({"model_config": {"activation": "tanh"}}, "model_config.activation: Input should be 'relu', 'gelu'"),
        ({"model_config": {"hidden_dims": []}}, "model_config.hidden_dims"),
        ({"model_config": {"hidden_dims": [0]}}, "model_config.hidden_dims.0"),
        ({"model_config": {"dropout_rate": "0.2"}}, "model_config.dropout_rate"),
        ({"model_config": {"layers": 3}}, "model_config.layers"),
        ({"train_config": {"optimizer": "sgd"}}, "train_config.optimizer: Input should be 'adam' or 'adamw'"),
        ({"train_config": {"lr": 0}}, "train_config.lr"),
        ({"test_size": 1}, "test_size"),
        ({"val_size": 0}, "val_size"),
        ({"task_type": "ranking"}, "task_type"),
        ({"search": {}}, "give either search (a sweep) or model_config (one network)"),
        ({"promote": True, "test_size": 0}, "promote needs withheld rows"),
        ({"name": "../up"}, "name"),
        ({"dataset_path": "gone.csv"}, "dataset_path='gone.csv': no such file"),
        ({"dataset_path": "/etc/passwd"}, "dataset_path='/etc/passwd': outside of what is allowed"),
        ({"dataset_path": "../../etc/passwd"}, "outside of what is allowed"),
        ({"dataset_path": "s3://bucket/x.csv"}, "not allowed"),
        ({"dataset_path": "sql:sqlite:////etc/x.db#t"}, "not allowed"),
        ({"dataset_path": "upload:../../secret.csv"}, "no such upload"),
        ({"dataset_path": "a\0b"}, "control characters"),
    ],
)
def test_what_is_wrong_is_422_and_says_what_and_where(service, change, expected):
    answer = service.post(NETWORK | change)
    assert answer.status_code == 422
    assert expected in answer.json()["detail"]
    assert service.tasks.newest(10) == []


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"families": ["lightgbmm"]}, "families: unknown family 'lightgbmm' (did you mean 'lightgbm'?)"),
        (
            {"families": ["dnn"], "params": {"bnn": {"lr": 1.0}}},
            "search.params.bnn: the family is not searched",
        ),
        ({"metric": "auc"}, "search.metric"),
        ({"num_trials": 0}, "search.num_trials"),
        ({"params": {"dnn": {"lr": {"a": {"b": {}}}}}}, "search.params.dnn.lr"),
    ],
)
def test_a_wrong_search_is_422(service, search, expected):
    answer = service.post({**SWEEP, "search": search})
    assert answer.status_code == 422
    assert expected in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"target_column": "Target"},
            "no target column 'Target' (did you mean 'target'?); columns: 'a', 'target'",
        ),
        ({"search": {"params": {"lightgbm": {"num_leafs": 3}}}}, "num_leafs"),
        ({"search": {"params": {"lightgbm": {"num_leaves": 1}}}}, "num_leaves"),
        ({"search": {"params": {"xgboost": {"max_dept": {"low": 1, "high": 3}}}}}, "max_dept"),
        ({"search": {"params": {"lightgbm": {"num_leaves": {"low": 64, "high": 8}}}}}, "num_leaves"),
        ({"search": {"params": {"lightgbm": {"num_leaves": []}}}}, "an empty list of choices"),
    ],
)
def test_what_the_command_would_refuse_is_refused_at_once_in_the_same_words(service, change, expected):
    body = SWEEP | change
    answer = service.post(body)
    assert answer.status_code == 422
    asked = TrainRequest(**body)
    overrides = job_overrides(asked, str(service.table), service.folder, "registry", ())
    with pytest.raises((ConfigError, DataError)) as caught:
        plan_sweep(load_config(overrides))
    assert answer.json()["detail"] == str(caught.value)
    assert answer.json()["code"] == code_of(caught.value)
    assert expected in str(caught.value)
    assert service.tasks.newest(10) == []


def test_the_process_that_checks_is_started_again_when_it_was_killed(service):
    for _ in range(2):
        assert service.post(SWEEP).status_code == 202
        CHECKER._process.kill()


def test_the_ranges_are_those_of_the_family():
    names = {"dropout_rate": "dropout"}
    for kind in (NetworkConfig, NetworkTraining):
        for name, field in kind.model_fields.items():
            own = DNNParams.model_fields[names.get(name, name)]
            asked = next(a for a in field.annotation.__args__ if a is not type(None))
            assert sorted(map(repr, field.metadata)) == sorted(map(repr, own.metadata)), name
            if name == "hidden_dims":
                assert repr(asked.__args__[0]) == repr(own.annotation.__args__[0].__args__[0])
            else:
                assert asked == own.annotation

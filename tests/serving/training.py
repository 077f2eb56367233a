"""The routes of training over folders of their own, without Ray."""

from fastapi import FastAPI
from fastapi.testclient import TestClient

from configs.load import load_config
from configs.schema import ServingConfig, TrainingServiceConfig
from configs.tasks import TaskFolder
from serving.access import Access
from serving.api import answer_errors
from serving.bodies import BodyLimit
from serving.checking import Checker
from serving.exchange import Front
from serving.monitoring import Metrics
from serving.requestlog import RequestLog
from serving.routes_training import STREAMING, training_routes
from serving.training import TrainingService

# Its process takes seconds to start, and ends with this one.
CHECKER = Checker()
NETWORK = {
    "dataset_path": "table.csv",
    "target_column": "target",
    "model_config": {"hidden_dims": [32, 16], "dropout_rate": 0.2, "activation": "relu"},
    "train_config": {"epochs": 3, "batch_size": 64, "lr": 0.01, "optimizer": "adam"},
    "test_size": 0.25,
    "val_size": 0.2,
    "task_type": "binary",
}
SWEEP = {"dataset_path": "table.csv", "target_column": "target", "search": {"num_trials": 3}}


class Service:
    """The routes over folders of their own."""

    def __init__(self, folder, **training):
        self.folder = folder
        self.table = folder / "tables" / "table.csv"
        self.table.parent.mkdir()
        self.table.write_text("a,target\n1,0\n2,1\n")
        config = ServingConfig(
            training=TrainingServiceConfig(
                **{"runs": str(folder / "runs"), "roots": (str(folder / "tables"),)} | training
            )
        )
        self.service = TrainingService(config, str(folder / "registry"), CHECKER)
        self.tasks = TaskFolder(folder / "runs")
        api = FastAPI()
        api.state.access = Access()
        answer_errors(api)
        api.include_router(training_routes(self.service, config))
        limited = BodyLimit(api, 1_000_000, 30.0, STREAMING)
        self.front = Front({}, limited, Metrics(folder / "metrics", dict), RequestLog(None))
        self.client = TestClient(self.front)

    def post(self, body, path="", **options):
        return self.client.post(f"/api/ml/train{path}", json=body, **options)

    def get(self, path, **options):
        return self.client.get(f"/api/ml/train{path}", **options)

    def new(self, body=NETWORK):
        return self.tasks.find(self.post(body).json()["task_id"])

    def job(self, answer):
        """The job that a task would run."""
        overrides = self.tasks.find(answer.json()["task_id"]).request().overrides
        return load_config(list(overrides))

"""What clients ask of training, and what they are told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from configs.schema import MetricName
from configs.tasks import Status, TaskFinding

Text = Annotated[str, Field(min_length=1, max_length=4096)]
Scalar = bool | int | float | str | None
# Of limited depth, unlike JSON.
ParamValue = Scalar | list[Scalar | list[Scalar]] | dict[str, int | float]
ParamName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
Width = Annotated[int, Field(ge=1, le=4096)]


class Asked(BaseModel):
    """Base of what clients send: unknown keys are errors, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


class NetworkConfig(Asked):
    """One network; what is not given is the family's own first starting point."""

    hidden_dims: list[Width] | None = Field(
        None, min_length=1, max_length=16, description="Widths of the hidden layers, from the input on."
    )
    dropout_rate: float | None = Field(None, ge=0, le=0.95)
    activation: Literal["relu", "gelu", "silu", "mish", "selu"] | None = None


class NetworkTraining(Asked):
    """How it is trained."""

    epochs: int | None = Field(None, ge=1, le=10_000, description="Passes over the training rows at most.")
    batch_size: int | None = Field(None, ge=2, le=65_536)
    lr: float | None = Field(None, gt=0, le=1, description="Peak learning rate.")
    optimizer: Literal["adam", "adamw"] | None = None


class SearchRequest(Asked):
    """A sweep instead of one network; without a budget it takes five minutes."""

    families: list[Text] | None = Field(None, min_length=1, max_length=20)
    num_trials: int | None = Field(None, ge=1, le=1_000_000)
    time_budget_s: float | None = Field(None, ge=10, le=10_000_000)
    metric: MetricName | None = None
    params: dict[str, dict[ParamName, ParamValue]] = Field(
        {}, description="Per family, parameters fixed to a value, to a list of choices, or to {low, high}."
    )
    n_folds: int | None = Field(None, ge=2, le=20)


class TrainFields(Asked):
    """A training task, but for its table."""

    target_column: Text = Field(description="Column to predict.")
    network: NetworkConfig | None = Field(None, alias="model_config")
    training: NetworkTraining | None = Field(None, alias="train_config")
    test_size: float = Field(
        0.2, ge=0, lt=1, description="Share of the rows withheld, and scored once at the end."
    )
    val_size: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of the other rows that ends each fit and scores it; without it, five folds do in turn.",
    )
    task_type: Literal["classification", "binary", "multiclass", "regression"] | None = Field(
        None, description="Default: inferred from the target."
    )
    search: SearchRequest | None = Field(
        None, description="A sweep, instead of model_config and train_config."
    )
    name: str | None = Field(
        None, pattern=r"^[\w][\w.-]{0,99}$", description="Name of the model; default: the table's."
    )
    promote: bool = Field(
        False,
        description="Put the model into production when it scores better than the one there, on the same withheld "
        "rows.",
    )
    ignore: list[Text] = Field([], max_length=10_000, description="Columns left out.")
    seed: int = Field(0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _consistent(self) -> TrainFields:
        if self.search is not None:
            for key, value in (("model_config", self.network), ("train_config", self.training)):
                if value is not None:
                    raise ValueError(f"give either search (a sweep) or {key} (one network)")
            if self.search.n_folds is not None and self.val_size is not None:
                raise ValueError("give either val_size or search.n_folds")
        if self.promote and not self.test_size:
            raise ValueError("promote needs withheld rows to compare on; give test_size above 0")
        return self


class TrainRequest(TrainFields):
    """A training task: one fixed network, or with `search` a sweep."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "dataset_path": "churn.csv",
                    "target_column": "churned",
                    "model_config": {"hidden_dims": [128, 64], "dropout_rate": 0.2, "activation": "relu"},
                    "train_config": {"epochs": 30, "batch_size": 256, "lr": 0.01, "optimizer": "adamw"},
                    "test_size": 0.2,
                    "val_size": 0.2,
                    "task_type": "classification",
                }
            ]
        }
    )

    dataset_path: Text = Field(
        description="A file in one of the folders that are allowed, an uploaded table, or an allowed source."
    )


class Accepted(BaseModel):
    """A task that was taken on."""

    task_id: str
    status: Status
    message: str


class TaskProblem(BaseModel):
    """Why a task failed."""

    code: str = Field(description="As in the problem documents, such as data_error.")
    detail: str


class TaskStatus(BaseModel):
    """How a task stands."""

    model_config = ConfigDict(protected_namespaces=())

    task_id: str
    status: Status
    progress: float = Field(ge=0, le=100)
    message: str
    name: str
    kind: Literal["network", "sweep"]
    dataset_path: str
    target_column: str
    created: float = Field(description="Seconds since 1970.")
    updated: float
    metric: str | None
    best_score: float | None = Field(description="Of the ensemble so far, or of the best trial.")
    trials: dict[str, int] = Field(description="By state: running, completed, stopped, failed, interrupted.")
    run: str | None = Field(description="Name of the run directory.")
    model_id: str | None
    test_scores: dict[str, float]
    findings: tuple[TaskFinding, ...] = Field(description="What to beware of in the training rows.")
    doubts: tuple[str, ...] = Field(
        description="Why its model should not be in production before somebody has looked."
    )
    promotion: dict[str, Any] | None = Field(description="Whether the model went into production, and why.")
    error: TaskProblem | None


class TaskList(BaseModel):
    """Tasks, newest first."""

    tasks: list[TaskStatus]


class Uploaded(BaseModel):
    """A table that was taken in; its dataset_path names it in a training task."""

    dataset_path: str
    n_bytes: int

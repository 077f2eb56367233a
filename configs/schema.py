"""What may be configured: frozen pydantic models, in which an unknown key is an error."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)

from configs.sources import mask_secrets

ProblemType = Literal["binary", "multiclass", "regression"]
# What may be asked for: "classification" is binary or multiclass, as the target has it.
AskedProblemType = Literal["binary", "multiclass", "regression", "classification"]
SplitKind = Literal["random", "stratified", "group", "time"]
ColumnKind = Literal["numeric", "categorical", "boolean", "datetime", "ignore"]
MissingPolicy = Literal["native", "mean", "median", "mode", "drop"]
MetricName = Literal["roc_auc", "log_loss", "accuracy", "precision", "recall", "f1", "rmse", "mae", "r2"]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
# Wherever a configuration is written or sent, a password in a source is not.
Source = Annotated[str, PlainSerializer(mask_secrets)]


class Section(BaseModel):
    """Base of every section: frozen, unknown keys refused, numbers accepted where text is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class DataConfig(Section):
    """Which table, which column to predict, and how rows are split.

    Attributes:
        source: A CSV, JSON, Parquet or Excel file or a pattern of files (a path, s3://, gs://, https:// or -),
            redis:KEY, or sql:URL#TABLE; see data/sources.py.
        target: Column to predict.
        encoding: What text files are written in (utf-8, cp949, ...); default: found out, and said.
        test_source: A second table, withheld until the end and scored once.
        test_size: Share of rows in (0, 1) withheld instead; 0 trains on every row.
        ignore: Columns left out.
        kinds: Column kinds that override the inferred ones.
        formats: How columns are written, each by an example that can be read in one way only: "1.234,5", "31/12/2024",
            epoch_ms, or text to keep every cell as it is; what is not said is settled from the whole column.
        unreadable: What a cell becomes that contradicts how its column is written: an error, or missing. Requests to
            an endpoint always get the error.
        missing: native leaves missing values to each family; mean, median and mode fill them from the training
            rows (mean and median: numbers and dates, others by their most frequent value); drop leaves out the
            training rows that miss a value.
        split: random; stratified: each class in the same shares; group; time. Default: group or time where their
            column is given, else stratified for classes and random for numbers.
        group: Column whose equal values stay together, in one fold or withheld; it is no feature unless in kinds.
        time: Column of numbers, dates or ISO texts; test rows are the latest, and each fold trains on earlier ones.
        n_folds: Cross-validation folds, 5 by default, or as many as the groups, times or rows allow where these are
            fewer; every family is scored on the same ones.
        val_size: Share of the training rows in (0, 1) that validates every trial, instead of folds.
        holdout_rows: With more training rows, and neither n_folds nor val_size given, a fifth of them, at most
            50,000, validates instead of folds; null or 0: never.
        positive_class: The class that precision, recall and F1 count (binary; default: the last in order).
    """

    source: Source = Field(repr=False)
    target: str
    encoding: str | None = None
    test_source: Source | None = Field(None, repr=False)
    test_size: float = Field(0.0, ge=0.0, lt=1.0)
    ignore: Names = ()
    kinds: dict[str, ColumnKind] = {}
    formats: dict[str, str] = {}
    unreadable: Literal["error", "missing"] = "error"
    missing: MissingPolicy = "native"
    split: SplitKind | None = None
    group: str | None = None
    time: str | None = None
    n_folds: int | None = Field(None, ge=2, le=20)
    val_size: float | None = Field(None, gt=0.0, lt=1.0)
    holdout_rows: int | None = Field(200_000, ge=0)
    positive_class: str | None = None


class ResourcesConfig(Section):
    """What one trial of a family asks of Ray.

    Attributes:
        cpus: CPUs, and so threads; default: search.cpus_per_trial.
        gpus: Share of a GPU, and of its memory; default: search.gpus_per_trial.
    """

    cpus: int | None = Field(None, ge=1)
    gpus: float | None = Field(None, ge=0.0, le=1.0)


class SearchConfig(Section):
    """How long and how to search.

    Attributes:
        time_budget_s: Wall clock of the whole command in seconds, ensemble included; at least 10.
        num_trials: Number of trials; alone, it makes the search deterministic.
        sampler: What proposes parameters: Optuna's TPE, random, GP or CMA-ES sampler.
        choice: Which family is next under a time budget: the one with the most expected gain of the ensemble per
            second, the one on which least time was spent, or each in turn.
        scheduler: What stops trials early: ensemble (the race below, but a trial that can enter the ensemble goes on,
            and one that cannot stops), race (asynchronous successive halving over folds), median or none.
        reduction_factor: One in this many trials passes each rung of the race.
        warm_start: An earlier run (path, name or latest) whose best trials are tried first.
        cpus_per_trial: CPUs, and so threads, of one trial.
        gpus_per_trial: Share of a GPU given to each trial, and of its memory to a network; LightGBM stays on the CPU.
        resources: The same two by family: {dnn: {cpus: 2, gpus: 0.5}}.
        max_concurrent: Trials in flight; default: as many as the CPUs allow.
        max_failure_share: The sweep fails when a larger share of its trials failed.
        disk_budget_gb: Most that the models of all trials may take; those of the worst trials go first.
    """

    time_budget_s: float | None = Field(None, gt=0)
    num_trials: int | None = Field(None, gt=0)
    sampler: Literal["tpe", "random", "gp", "cmaes"] = "tpe"
    choice: Literal["gain", "time", "turns"] = "gain"
    scheduler: Literal["ensemble", "race", "median", "none"] = "ensemble"
    reduction_factor: float = Field(3.0, gt=1.0)
    warm_start: str | None = None
    cpus_per_trial: int = Field(1, ge=1)
    gpus_per_trial: float = Field(0.0, ge=0.0, le=1.0)
    resources: dict[str, ResourcesConfig] = {}
    max_concurrent: int | None = Field(None, ge=1)
    max_failure_share: float = Field(0.5, ge=0.0, le=1.0)
    disk_budget_gb: float = Field(20.0, gt=0)


class TrackingConfig(Section):
    """Where trials are recorded.

    Attributes:
        backend: wandb, or mlflow (the optional extra `mlflow`).
        mode: disabled records nothing. For W&B: auto is online when a key is present and offline otherwise.
        project: W&B project, or MLflow experiment.
        entity: W&B user or team.
        uri: MLflow's store; default: MLFLOW_TRACKING_URI, else the SQLite file mlflow.db in the folder of the runs.
        timeout_s: How long one answer of the tracking server is waited for, before files are written instead.
        finish_timeout_s: How long the end of a sweep waits for the tracker to catch up.
    """

    backend: Literal["wandb", "mlflow"] = "wandb"
    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str = "tabularay"
    entity: str | None = None
    uri: Source | None = Field(None, repr=False)
    timeout_s: float = Field(10.0, gt=0)
    finish_timeout_s: float = Field(20.0, ge=0)


class EnsembleConfig(Section):
    """How trials become one model.

    Attributes:
        max_steps: Greedy selection steps, with replacement.
        max_members: Different trials that may enter.
        fold_models: How many of its fold models answer for a member: as many as its weight deserves, all of them from a
            weight of .4 on (weighted), or all for every member.
        refit: Members fitted once more on all rows, instead of their fold models. auto: boosted trees, which such a
            fit serves at least as well as the mean of their folds, with as many models as they had, at most three;
            true: every member, one model each, which is smallest; false: none. Members for which time is short keep
            their fold models.
        max_latency_ms: Most that an encoded row may take in the graph on one thread, as reckoned from the models
            (ensembles/work.py), so that it is the same on every machine; null: no limit. auto: 1 ms, as far as at
            least three models answer and the ensemble is no worse than the best single trial on the validated rows; a
            number is kept to whatever it costs.
        threshold: How classes are decided: null takes the likeliest; f1, balanced_accuracy or accuracy the decision
            with the highest such score out of fold; a matrix of costs, costs[true][predicted] in the order of the
            classes, the one with the lowest expected cost.
    """

    max_steps: int = Field(40, ge=1, le=200)
    max_members: int = Field(15, ge=1, le=100)
    fold_models: Literal["weighted", "all"] = "weighted"
    refit: bool | Literal["auto"] = "auto"
    max_latency_ms: Annotated[float, Field(gt=0)] | Literal["auto"] | None = "auto"
    threshold: Literal["f1", "balanced_accuracy", "accuracy"] | tuple[tuple[float, ...], ...] | None = None


class TrainingServiceConfig(Section):
    """Training as a service.

    Attributes:
        enabled: Whether training tasks are taken.
        runs: Folder of the tasks, the uploads and the run directories.
        roots: Where tables may be read from: folders, or the beginnings of s3://, gs://, https://, redis: and sql:
            sources; uploads always may. Default: the folder that the server was started in.
        address: Job server of a running Ray cluster; default: a Ray of this machine, for training alone.
        cpus: CPUs of that Ray; default: those that the replicas leave, at least one.
        max_running: Tasks that run at once; the others wait.
        max_waiting: Tasks that may wait.
        max_upload_mb: Largest table that may be sent, in MB.
        idle_s: How long the Ray of this machine stays up after the last task.
        keep_days: Days that an ended task's record, and a table that no task names any more, are kept; null: for ever.
        overrides: Settings that every task gets, such as tracking=none.
    """

    enabled: bool = True
    runs: str = "runs"
    roots: Names = (".",)
    address: str | None = None
    cpus: int | None = Field(None, ge=1)
    max_running: int = Field(1, ge=1)
    max_waiting: int = Field(100, ge=0)
    max_upload_mb: float = Field(1000.0, gt=0)
    idle_s: float = Field(300.0, ge=0)
    keep_days: float | None = Field(30.0, gt=0)
    overrides: Names = ()


class ServingConfig(Section):
    """How a model is served.

    Attributes:
        host: Address to bind; loopback by default.
        port: TCP port.
        replicas: Model processes.
        cpus_per_replica: CPUs, and so threads, of one replica.
        max_replicas: With more than `replicas`, replicas come and go with the load between the two.
        target_busy: Share of time in (0, 1) that each replica is to be busy; above it another is started.
        scale_up_after_s: How long the load must ask for more replicas before they are started.
        scale_down_after_s: How long it must ask for fewer before one is stopped.
        max_rows: Largest number of rows in one request.
        max_waiting_rows: Rows that may wait in a replica for their prediction; then clients get 429.
        max_body_mb: Largest request body, in MB.
        request_timeout_s: Time that a request has, its body's arrival included.
        tokens: File of tokens, see docs/service.md; none and no TABULARAY_TOKENS: this machine may do everything.
        tls_cert: Certificate in PEM; with tls_key, HTTPS is served.
        tls_key: Its private key.
        request_log: File with a line of JSON per request; null: none.
        training: Training as a service.
        poll_s: How often the registry is asked whether another version is to be served, in seconds.
        canary_share: Share in [0, 1] of the requests that name no model which the version with the alias `candidate`
            answers, unless another rollout was started over HTTP; 0: none.
        canary_requests: Compared requests before a version on trial can pass.
        canary_latency_ratio: A version on trial is withdrawn above this many times the served version's latency.
        canary_promote: Whether a version that passes is promoted.
    """

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    replicas: int = Field(1, ge=1)
    cpus_per_replica: float = Field(1.0, gt=0)
    max_replicas: int | None = Field(None, ge=1)
    target_busy: float = Field(0.7, gt=0, lt=1)
    scale_up_after_s: float = Field(10.0, ge=0)
    scale_down_after_s: float = Field(60.0, ge=0)
    max_rows: int = Field(10_000, ge=1)
    max_waiting_rows: int = Field(20_000, ge=1)
    max_body_mb: float = Field(10.0, gt=0)
    request_timeout_s: float = Field(30.0, gt=0)
    tokens: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    request_log: str | None = "requests.jsonl"
    training: TrainingServiceConfig = TrainingServiceConfig()
    poll_s: float = Field(1.0, gt=0)
    canary_share: float = Field(0.0, ge=0.0, le=1.0)
    canary_requests: int = Field(1000, ge=1)
    canary_latency_ratio: float = Field(2.0, gt=0.0)
    canary_promote: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> ServingConfig:
        if (self.tls_cert is None) != (self.tls_key is None):
            missing = "tls_cert" if self.tls_cert is None else "tls_key"
            raise ValueError(f"tls_cert and tls_key go together; {missing} is not given")
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise ValueError(f"max_replicas={self.max_replicas} is below replicas={self.replicas}")
        return self


class ClusterConfig(Section):
    """Which Ray cluster runs the trials.

    Attributes:
        address: Ray address of a running cluster, or None for one started on this machine and stopped after.
        jobs_address: URL of the cluster's job server, for `submit`; default: port 8265 of the host in address.
        num_cpus: CPUs used on this machine; default: all this process may use.
        num_gpus: GPUs used on this machine; default: those Ray finds.
    """

    address: str | None = None
    jobs_address: str | None = None
    num_cpus: int | None = Field(None, ge=1)
    num_gpus: int | None = Field(None, ge=0)


class JobConfig(Section):
    """One tuning job.

    Attributes:
        name: Name the model is registered under; default: the table's name.
        families: Model families searched.
        metric: What is optimised; default: roc_auc, log_loss or rmse by problem type.
        problem_type: Default: inferred from the target; classification is binary or multiclass, by its classes.
        params: Per family, parameters fixed to a value, to a list of choices, or to {low, high}.
        seed: Seeds folds, searchers and fits.
        runs: Folder of the run directories.
        registry: Where models are registered: a folder, s3:// or gs://.
        alias: What points at the model of a finished job; null: nothing new does. auto: production, or candidate
            where the model is doubtful or is to be compared first; see ensembles/admission.py.
        promote: Whether that model goes into production when it scores better there than the one that is in
            production, on the same withheld rows; see ensembles/promotion.py. Needs test rows.
    """

    name: str | None = Field(None, pattern=r"^[\w][\w.-]{0,99}$")
    families: Names = Field(min_length=1)
    metric: MetricName | None = None
    problem_type: AskedProblemType | None = None
    params: dict[str, dict[str, Any]] = {}
    seed: int = Field(0, ge=0, lt=2**31)
    runs: str = "runs"
    registry: Source = "registry"
    alias: str | None = Field("auto", pattern=r"^[\w-]{1,100}$")
    data: DataConfig
    promote: bool = False
    search: SearchConfig = SearchConfig()
    tracking: TrackingConfig = TrackingConfig()
    ensemble: EnsembleConfig = EnsembleConfig()
    serving: ServingConfig = ServingConfig()
    cluster: ClusterConfig = ClusterConfig()

    @field_validator("promote")
    @classmethod
    def _check_promote(cls, promote: bool, info: ValidationInfo) -> bool:
        data = info.data.get("data")
        if promote and info.data.get("alias") == "production":
            raise ValueError(
                "a new model is in production at once with alias=production; leave alias out, or add alias=candidate"
            )
        if promote and data is not None and not (data.test_size or data.test_source):
            raise ValueError(
                "models are compared on withheld rows; add data.test_size=0.2 or data.test_source"
            )
        return promote

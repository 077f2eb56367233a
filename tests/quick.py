"""A real bundle in seconds: every family named is fitted once per fold, without a sweep."""

import json

from configs.schema import DataConfig, EnsembleConfig
from data.dataset import load_dataset
from data.metrics import score
from ensembles.build import build_ensemble
from ensembles.registry import Registry
from models.base import FitContext, Fold, Task
from models.families import get_family
from models.trials import FoldRecord, trial_name, write_fold, write_trial

PARAMS = {
    "lightgbm": {"num_boost_round": 20, "min_data_in_leaf": 2},
    "xgboost": {"num_boost_round": 20},
    "dnn": {"n_blocks": 1, "d_block": 16, "epochs": 8},
    "mc_dropout": {"n_blocks": 1, "d_block": 16, "epochs": 8},
    "bnn": {"n_blocks": 1, "d_block": 16, "epochs": 8},
}


def quick_model(folder, source, target="y", families=("lightgbm",), params=None, **options):
    """Fit, build and register `folder/registry` version quick:1; returns the run directory."""
    known = PARAMS | (params or {})
    dataset = load_dataset(
        DataConfig(
            source=str(source),
            target=target,
            **({"n_folds": 2} if "val_size" not in options else {}),
            **options,
        )
    )
    dataset.save(folder / "run" / "dataset")
    metric = "rmse" if dataset.problem_type == "regression" else "log_loss"
    for number, family in enumerate(families):
        path = folder / "run" / "trials" / trial_name(number, family)
        values = {"number": number, "family": family, "params": known[family], "seed": 0}
        write_trial(path, values | {"origin": "default", "state": "completed"})
        for k in range(dataset.n_folds):
            val = dataset.folds == k
            fold = Fold(dataset.X[~val], dataset.y[~val], dataset.X[val], dataset.y[val])
            model = get_family(family).fit(known[family], Task.of(dataset), fold, FitContext())
            prediction = model.predict(fold.X_val)
            value = score(metric, fold.y_val, prediction.mean)
            record = FoldRecord(k, value, 0.1, 0.1, best_step=model.history.best)
            write_fold(path, record, model, prediction)
    build_ensemble(folder / "run", EnsembleConfig(), metric, {"name": "quick", "created": 0}, FitContext())
    Registry(folder / "registry").register("quick", folder / "run" / "bundle")
    return folder / "run"


def write_table(path, frame):
    """Write a frame as its suffix says; JSON as records."""
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        path.write_text(json.dumps(frame.astype(object).to_dict("records"), default=str))
    return path

"""Fits pytabkit's RealMLP on arrays in a file; run by the interpreter of an environment that has pytabkit.

Used by benchmarks/networks.py: python realmlp.py SPLIT.npz PREDICTIONS.npy '{"kind": "TD", "time_s": 60, ...}'
"""

import json
import logging
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytabkit
import torch

PILOT_EPOCHS = 2
ALL_EPOCHS = 256


def main() -> None:
    """Fit, write the test rows' predictions, and print what was done as JSON."""
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    source, target, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    torch.set_num_threads(options["n_threads"])
    arrays = np.load(source)
    train, val, test = frames(arrays)
    epochs = ALL_EPOCHS
    if options["time_s"]:
        pilot = fit(arrays, train, val, options, PILOT_EPOCHS)[1]
        epochs = int(np.clip(options["time_s"] / pilot * PILOT_EPOCHS, 1, ALL_EPOCHS))
    model, seconds = fit(arrays, train, val, options, epochs)
    answers = model.predict_proba(test) if options["n_classes"] else model.predict(test).reshape(-1, 1)
    np.save(target, answers)
    print(json.dumps({"epochs": epochs, "seconds": seconds}))


def frames(arrays):
    """Training, validation and test rows as pytabkit takes them: no missing numbers, categories as text."""
    sizes = arrays["cardinalities"]
    tables = [pd.DataFrame(arrays[f"X_{part}"]).add_prefix("c") for part in ("train", "val", "test")]
    for index, size in enumerate(sizes):
        name = f"c{index}"
        middle = tables[0][name].median()
        for table in tables:
            if size:
                table[name] = (
                    table[name].map(lambda v: "missing" if np.isnan(v) else str(int(v))).astype("category")
                )
            else:
                table[name] = table[name].fillna(middle)
    return tables


def fit(arrays, train, val, options, epochs):
    """The fitted model, and the seconds it took."""
    kind = "Classifier" if options["n_classes"] else "Regressor"
    # Its own advice where probabilities count: no label smoothing, the best epoch by cross-entropy.
    extra = {"use_ls": False, "val_metric_name": "cross_entropy"} if options["n_classes"] else {}
    model = getattr(pytabkit, f"RealMLP_{options['kind']}_{kind}")(
        device="cpu", random_state=options["seed"], n_threads=options["n_threads"], n_epochs=epochs, **extra
    )
    categories = [f"c{index}" for index, size in enumerate(arrays["cardinalities"]) if size]
    start = time.monotonic()
    model.fit(train, arrays["y_train"], val, arrays["y_val"], cat_col_names=categories)
    return model, time.monotonic() - start


if __name__ == "__main__":
    main()

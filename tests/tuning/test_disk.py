import math

from tuning.disk import DiskBudget

MODEL = b"x" * 1000


def trial(folder, number):
    path = folder / f"{number:04d}-lightgbm"
    for fold in range(2):
        model = path / f"fold_{fold}" / "model"
        model.mkdir(parents=True)
        (model / "model.txt").write_bytes(MODEL)
        (path / f"fold_{fold}" / "oof.npy").write_bytes(b"kept")
    return path


def kept(folder):
    return sorted(int(p.parent.parent.parent.name[:4]) for p in folder.glob("*/fold_0/model/model.txt"))


def test_the_worst_models_go_first_and_predictions_stay(tmp_path):
    disk = DiskBudget(3 * 2 * len(MODEL), "max", lambda _number: 0.0)
    for number, score in enumerate([0.7, 0.9, math.nan, 0.8, 0.6]):
        disk.end(number, trial(tmp_path, number), score, keep=True)
    assert kept(tmp_path) == [0, 1, 3]
    assert disk.used_bytes == 3 * 2 * len(MODEL)
    assert len(list(tmp_path.glob("*/fold_*/oof.npy"))) == 10


def test_what_helps_the_ensemble_outlasts_a_better_score(tmp_path):
    disk = DiskBudget(2 * 2 * len(MODEL), "min", {0: 0.0, 1: 0.2, 2: 0.0}.__getitem__)
    for number, score in enumerate([1.0, 3.0, 2.0]):
        disk.end(number, trial(tmp_path, number), score, keep=True)
    assert kept(tmp_path) == [0, 1]


def test_stopped_trials_keep_no_models(tmp_path):
    DiskBudget(1e9, "max", lambda _number: 0.0).end(0, trial(tmp_path, 0), 0.9, keep=False)
    assert kept(tmp_path) == []


def test_the_best_trial_stays_however_small_the_budget(tmp_path):
    disk = DiskBudget(1, "max", lambda _number: 0.0)
    for number, score in enumerate([0.5, 0.9, 0.7]):
        disk.end(number, trial(tmp_path, number), score, keep=True)
    assert kept(tmp_path) == [1]

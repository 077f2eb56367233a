import io
import json
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from cli import main
from ensembles import explanation
from ensembles.bundle import load_bundle
from ensembles.compare import compare_models
from ensembles.explanation import ShapleySampler, contribution_columns, explain, explained_outputs
from ensembles.importance import CHANGE, column_features, permutation_importance, prediction_change
from errors import DataError, PredictionError
from tests.quick import quick_model

SINGLE = [np.array([i]) for i in range(3)]


@pytest.fixture
def background():
    return np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)


def product(X):
    """An interaction of all three, in two outputs."""
    value = X[:, 0] * X[:, 1] + np.exp(X[:, 2]) * X[:, 0]
    return np.column_stack([value, -value])


def exact(predict, background, x, groups):
    """Shapley values from every order of the columns and every background row."""
    total, n = 0.0, 0
    for order in permutations(range(len(groups))):
        for row in background:
            now = row.copy()
            steps = np.zeros((len(groups), 2))
            for column in order:
                before = predict(now[None])[0]
                now[groups[column]] = x[groups[column]]
                steps[column] = predict(now[None])[0] - before
            total, n = total + steps, n + 1
    return total / n


def test_a_sum_of_columns_is_split_exactly(background):
    weights = np.array([[2.0], [-1.0], [0.0]])
    x = np.array([1.0, 2.0, 3.0], np.float32)
    found, error = ShapleySampler(lambda X: X @ weights, background, SINGLE).explain(x)
    np.testing.assert_allclose(found, weights * (x - background.mean(0))[:, None], atol=1e-5)
    assert (error[2] == 0).all()


def test_interactions_come_near_to_every_order_and_sum_exactly(background):
    x = np.array([1.0, -2.0, 0.5], np.float32)
    expected = exact(product, background, x, SINGLE)
    sampler = ShapleySampler(product, background, SINGLE, n_walks=16 * 400)
    found, error = sampler.explain(x)
    np.testing.assert_allclose(found.sum(0), product(x[None])[0] - sampler.base, atol=1e-6)
    assert (np.abs(found - expected) < 4 * error).all()
    assert error.max() < 0.2


def test_features_of_one_column_are_switched_together(background):
    groups = [np.array([0, 2]), np.array([1])]
    x = np.array([1.0, -2.0, 0.5], np.float32)
    found, _ = ShapleySampler(product, background, groups, n_walks=16 * 8).explain(x)
    np.testing.assert_allclose(found, exact(product, background, x, groups), atol=1e-6)


def test_what_does_not_differ_is_not_asked_and_adds_nothing(background):
    asked = []

    def predict(X):
        asked.append(len(X))
        return np.nan_to_num(X).sum(1, keepdims=True)

    background[:, 1] = np.nan
    background[:, 2] = 7.0
    sampler = ShapleySampler(predict, background, SINGLE)
    asked.clear()
    found, _ = sampler.explain(np.array([1.0, np.nan, 7.0], np.float32))
    assert (found[1:] == 0).all()
    assert asked == [128 * 2]


def test_parts_give_the_same_as_the_whole(background, monkeypatch):
    x = np.array([1.0, -2.0, 0.5], np.float32)
    whole = ShapleySampler(product, background, SINGLE).explain(x)
    monkeypatch.setattr(explanation, "ROWS_AT_ONCE", 24)
    parts = ShapleySampler(product, background, SINGLE).explain(x)
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize("n_rows", [1, 3, 64, 127, 128, 300])
def test_every_background_row_is_walked_from_as_often(n_rows):
    rows = np.random.default_rng(0).normal(size=(n_rows, 3)).astype(np.float32)
    sampler = ShapleySampler(product, rows, SINGLE)
    found, _ = sampler.explain(np.array([1.0, -2.0, 0.5], np.float32))
    expected = product(np.array([[1.0, -2.0, 0.5]]))[0] - product(rows.astype(float)).mean(0)
    np.testing.assert_allclose(found.sum(0), expected, atol=1e-4)


def test_the_stated_error_is_that_of_other_background_rows():
    """With 128 rows of a population, contributions differ from those of others by as much as is said."""
    rng = np.random.default_rng(0)
    x = np.array([1.0, -2.0, 0.5], np.float32)
    drawn = [
        ShapleySampler(product, rng.normal(size=(128, 3)).astype(np.float32), SINGLE, seed=i).explain(x)
        for i in range(200)
    ]
    found, said = (np.array(part) for part in zip(*drawn, strict=True))
    real = found.std(0)
    np.testing.assert_allclose(np.sqrt(np.square(said).mean(0)), real, rtol=0.3)


def test_no_background_is_an_error():
    with pytest.raises(ValueError, match="no background"):
        ShapleySampler(product, np.zeros((0, 3), np.float32), SINGLE)


def make_frame(n=300):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "noise": rng.normal(size=n),
            "date": pd.date_range("2024-01-01", periods=n, freq="D").strftime("%Y-%m-%d"),
            "kind": rng.choice(["x", "y", "z"], n),
        }
    )
    score = 3 * frame["a"] + 2 * (frame["kind"] == "x")
    frame["y"] = np.select([score < -1, score < 2], ["low", "mid"], "high")
    frame.loc[::9, "a"] = None
    return frame


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    frame = make_frame()
    frame.to_csv(folder / "table.csv", index=False)
    run = quick_model(folder, folder / "table.csv")
    return load_bundle(run / "bundle"), frame


def test_a_real_ensemble_is_explained_class_by_class(real):
    bundle, frame = real
    X = bundle.encode(frame)
    found = explain(bundle, X[:4], background=X[40:72])
    assert found.columns == ("a", "noise", "date", "kind")
    mean = bundle.predict(frame.head(4)).mean
    np.testing.assert_allclose(found.contributions.sum(1), mean - found.base, atol=1e-5)
    np.testing.assert_allclose(found.contributions.sum(2), 0, atol=1e-6)
    strength = np.abs(found.contributions).mean((0, 2))
    assert strength.argmax() == 0
    again = explain(bundle, X[2:3], background=X[40:72])
    np.testing.assert_allclose(again.contributions[0], found.contributions[2], atol=1e-6)
    assert explain(bundle, X[:0], background=X[:2]).contributions.shape == (0, 4, 3)


def test_without_background_rows_it_is_said(real, monkeypatch):
    bundle, frame = real
    monkeypatch.setattr(type(bundle), "background", None, raising=False)
    with pytest.raises(PredictionError, match="build it again"):
        explain(bundle, bundle.encode(frame.head(1)))


def test_predict_adds_the_contributions_to_the_answered_class(real, monkeypatch, tmp_path, capsys):
    bundle, frame = real
    monkeypatch.setattr(type(bundle), "background", bundle.encode(frame)[40:56], raising=False)
    frame.drop(columns="y").head(5).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(SystemExit) as end:
        main(["predict", str(bundle.path), "--input", str(tmp_path / "new.csv"), "--explain"])
    assert end.value.code == 0
    told = capsys.readouterr()
    assert "Contributions are to the probability of the class that each row was given" in told.err
    found = pd.read_csv(io.StringIO(told.out))
    parts = ["base_value", *(f"contribution_{name}" for name in ("a", "noise", "date", "kind"))]
    assert list(found.columns[-7:]) == ["explained_class", *parts, "contribution_error"]
    answered = [row[f"probability_{row['explained_class']}"] for _, row in found.iterrows()]
    assert (found["explained_class"] == found["prediction"]).all()  # of three classes, the likeliest
    np.testing.assert_allclose(found[parts].sum(axis=1), answered, atol=1e-5)


def test_one_class_is_explained_for_all_rows(real, monkeypatch):
    bundle, frame = real
    monkeypatch.setattr(type(bundle), "background", bundle.encode(frame)[40:72], raising=False)
    mean = bundle.predict(frame.head(20)).mean
    assert explained_outputs(bundle, mean, "mid").tolist() == [bundle.target.classes.index("mid")] * 20
    np.testing.assert_array_equal(explained_outputs(bundle, mean), mean.argmax(1))
    found = contribution_columns(bundle, frame.head(3), "low")
    assert found["explained_class"] == ["low"] * 3
    with pytest.raises(DataError, match=r"class 'worst': not one of the model's; allowed: high, low, mid"):
        explained_outputs(bundle, mean, "worst")


def test_of_two_classes_the_positive_one_is_explained(tmp_path):
    frame = make_frame().assign(y=lambda f: np.where(f["a"].fillna(0) > 0, "yes", "no"))
    frame.to_csv(tmp_path / "table.csv", index=False)
    bundle = load_bundle(quick_model(tmp_path, tmp_path / "table.csv") / "bundle")
    found = contribution_columns(bundle, frame.head(12))
    assert found["explained_class"] == ["yes"] * 12
    assert max(found["contribution_error"]) < 0.2
    assert len(bundle.background) == 128


def test_columns_are_found_in_encoded_rows(real):
    bundle, _ = real
    places = column_features(bundle.encoder)
    names = bundle.encoder.feature_names
    assert [i for features in places.values() for i in features] == list(range(len(names)))
    assert len(places["date"]) > 1
    assert all("date" in names[i] for i in places["date"])


def test_importance_finds_the_columns_that_matter(real):
    bundle, frame = real
    found = permutation_importance(bundle, frame, n_repeats=3)
    assert [one.column for one in found[:2]] == ["a", "kind"]
    assert found[0].loss["log_loss"] > 0.3
    assert found[0].loss["accuracy"] > 0.1
    assert {one.column for one in found} == {"a", "noise", "date", "kind"}
    assert [one.to_json() for one in permutation_importance(bundle, frame, 3)] == [o.to_json() for o in found]
    with pytest.raises(DataError, match="no column 'y'"):
        permutation_importance(bundle, frame.drop(columns="y"))


def test_without_rows_importance_is_how_far_predictions_move(real, capsys):
    bundle, _ = real
    found = prediction_change(bundle, 3)
    assert [one.column for one in found[:2]] == ["a", "kind"]
    assert 1 >= found[0].loss[CHANGE] > 0.2 > found[-1].loss[CHANGE] >= 0
    with pytest.raises(SystemExit) as end:
        main(["models", "importance", str(bundle.path), "--json"])
    assert end.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["columns"][0]["column"]) == (128, "a")


def test_a_model_is_compared_with_a_worse_one_and_itself(real, tmp_path):
    bundle, frame = real
    shuffled = frame.assign(a=frame["a"].sample(frac=1, random_state=0).to_numpy())
    shuffled.to_csv(tmp_path / "table.csv", index=False)
    worse = load_bundle(quick_model(tmp_path, tmp_path / "table.csv") / "bundle")
    by_metric = {d.metric: d for d in compare_models(worse, bundle, frame)}
    assert set(by_metric) == {"roc_auc", "log_loss", "accuracy", "precision", "recall", "f1"}
    assert by_metric["log_loss"].verdict == by_metric["accuracy"].verdict == "second"
    assert by_metric["log_loss"].interval[1] < 0 < by_metric["accuracy"].interval[0]
    assert {d.verdict for d in compare_models(bundle, bundle, frame)} == {"neither"}
    assert compare_models(bundle, worse, frame)[1].to_json()["better"] == "first"


def test_numbers_are_explained_but_not_compared_with_classes(real, tmp_path, monkeypatch):
    bundle, frame = real
    numbers = frame.drop(columns="y").assign(y=frame["a"].fillna(0.0))
    numbers.to_csv(tmp_path / "table.csv", index=False)
    other = load_bundle(quick_model(tmp_path, tmp_path / "table.csv") / "bundle")
    monkeypatch.setattr(type(other), "background", other.encode(numbers)[:16], raising=False)
    answers = other.predict(numbers.head(3)).mean[:, 0]
    parts = contribution_columns(other, numbers.head(3))
    assert "explained_class" not in parts
    del parts["contribution_error"]
    np.testing.assert_allclose(sum(parts.values()), answers, atol=1e-5)
    with pytest.raises(DataError, match=r"'y' \(multiclass\) and 'y' \(regression\)"):
        compare_models(bundle, other, frame)

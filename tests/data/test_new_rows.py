"""What in a table to be predicted is unlike the training rows is said, with figures."""

import numpy as np
import pandas as pd

from data.encoder import Encoder
from data.features import infer_features
from data.new_rows import unlike_training

N = 100
TRAIN = pd.DataFrame(
    {
        "sex": ["male", "female"] * (N // 2),
        "age": np.arange(N) % 60 + 20,
        "day": pd.date_range("2024-01-01", periods=N).strftime("%d.%m.%Y"),
    }
)
ENCODER = Encoder.fit(TRAIN, infer_features(TRAIN.assign(y=range(N)), "y"))


def notes(**columns):
    return unlike_training(ENCODER, TRAIN.assign(**columns))


def test_rows_like_those_of_training_say_nothing():
    assert notes() == []


def test_categories_never_seen_are_counted_and_likened():
    (note,) = notes(sex=["MALE", "female"] * (N // 2))
    assert "'sex': 50 of 100 rows (50%)" in note
    assert "'MALE' (training knows 'male')" in note
    assert notes(sex=["other", *TRAIN["sex"][1:]])[0].startswith("column 'sex': 1 of 100 rows")


def test_numbers_and_dates_out_of_range_are_told_with_both_ranges():
    (note,) = notes(age=TRAIN["age"] * 100)
    assert "'age': 100 of 100 rows (100%) lie outside what training saw, 20 to 79; here 2000 to 7900" in note
    (note,) = notes(day=["01.01.2030"] * N)
    assert "2024-01-01 to 2024-04-09; here 2030-01-01" in note
    assert notes(age=[500, *TRAIN["age"][1:]]) == []


def test_a_column_without_values_is_told():
    assert "'age': 100 of 100 rows (100%) have no value, in training 0%" in notes(age=[None] * N)[0]
    assert "'sex': 100 of 100 rows (100%) have no value" in notes(sex=[""] * N)[0]


def test_a_model_of_an_older_version_knows_no_ranges():
    content = ENCODER.to_json()
    for column in content["columns"]:
        for key in ("low", "high", "missing_share"):
            del column[key]
    assert unlike_training(Encoder.from_json(content), TRAIN.assign(age=10**6)) == []

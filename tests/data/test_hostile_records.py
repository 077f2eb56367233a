"""Records that no client should send: each becomes a documented encoding, or a DataError naming column and value."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.encoder import Encoder
from data.features import infer_features
from errors import DataError
from tests.data.hostile import cells, check_encoded, check_message, json_values, names

pytestmark = pytest.mark.filterwarnings("error")
N = 1_200
POLICIES = ["native", "mean", "median", "mode"]
KINDS = {"grade": "categorical", "truth": "categorical", "many": "categorical", "digit": "categorical"}


def examples(n):
    """So many, the same in every run."""
    return settings(max_examples=n, derandomize=True, deadline=None, database=None)


def fitted():
    """One encoder a policy, and the records they were fitted on."""
    rng = np.random.default_rng(0)
    days = pd.Series(pd.date_range("2023-01-01", periods=N, freq="7h"))
    frame = pd.DataFrame(
        {
            "float": rng.normal(size=N),
            "수": rng.integers(-5, 50, N),
            "price": [f"{n:,}" for n in rng.integers(0, 10_000, N)],
            "share %": [f"{n}%" for n in rng.integers(0, 100, N)],
            "komma": [f"{n}".replace(".", ",") for n in rng.integers(0, 100, N) / 8],
            "flag": rng.choice([True, False], N),
            "answer": rng.choice(["Yes", "no"], N),
            "day": days.dt.strftime("%Y-%m-%d"),
            "moment": days.dt.tz_localize("Asia/Seoul"),
            '도시 "q"\\\n{}': rng.choice(["서울", "a b", "None", "7", "x" * 100], N),
            "grade": rng.choice([1, 2, 10, -3], N),
            "digit": rng.choice([0.5, 1.0, 2.25], N),
            "truth": rng.choice([True, False], N),
            "many": [f"m{n}" for n in range(N)],
        }
    )
    frame.loc[3, ["float", "price", "day", "answer"]] = None
    specs = infer_features(frame.assign(y=range(N)), "y", kinds=KINDS)
    encoders = {policy: Encoder.fit(frame, specs, policy) for policy in POLICIES}
    return encoders, frame.head(20).astype(object).to_dict("records")


ENCODERS, RECORDS = fitted()
RESTORED = {key: Encoder.from_json(json.loads(json.dumps(e.to_json()))) for key, e in ENCODERS.items()}
NAMES = ENCODERS["native"].column_names


def outcome(encode, *args):
    """The encoded bytes, or the error."""
    try:
        return encode(*args).tobytes()
    except DataError as error:
        return error


def as_frame(records):
    table = np.empty((len(records), len(NAMES)), dtype=object)
    for row, record in enumerate(records):
        for place, name in enumerate(NAMES):
            table[row, place] = record[name]
    return pd.DataFrame(table, columns=NAMES, dtype=object)


def check(policy, record, changed):
    """All ways agree; returns whether the record could be encoded."""
    encoder, restored = ENCODERS[policy], RESTORED[policy]
    ways = [
        outcome(encoder.encode, record),
        outcome(restored.encode, record),
        outcome(encoder.encode_values, [record[name] for name in NAMES]),
        outcome(encoder.transform, as_frame([record])),
    ]
    if isinstance(ways[0], bytes):
        assert ways == [ways[0]] * len(ways)
        check_encoded(np.frombuffer(ways[0], dtype=np.float32)[None], encoder, 1)
        return True
    for error in ways:
        assert isinstance(error, DataError)
        refused = next(name for name in NAMES if name in changed and f"column {name!r}" in str(error))
        check_message(error, refused, record[refused])
    return False


policies = st.sampled_from(POLICIES)
good = st.sampled_from(RECORDS)


@examples(600)
@given(policy=policies, record=good, name=st.sampled_from(NAMES), value=cells)
def test_any_cell_in_any_column(policy, record, name, value):
    check(policy, record | {name: value}, {name})


@examples(200)
@given(policy=policies, record=good, changes=st.dictionaries(st.sampled_from(NAMES), cells, min_size=2))
def test_several_odd_cells(policy, record, changes):
    check(policy, record | changes, changes)


@examples(200)
@given(policy=policies, name=st.sampled_from(NAMES), values=st.lists(cells, min_size=2, max_size=6))
def test_rows_of_a_frame_are_what_they_are_alone(policy, name, values):
    records = [record | {name: value} for record, value in zip(RECORDS, values, strict=False)]
    alone = [outcome(ENCODERS[policy].encode, record) for record in records]
    together = outcome(ENCODERS[policy].transform, as_frame(records))
    if all(isinstance(row, bytes) for row in alone):
        assert together == b"".join(alone)
    else:
        assert isinstance(together, DataError)
        check_message(together, name)


@examples(150)
@given(record=good, left_out=st.sets(st.sampled_from(NAMES)), more=st.dictionaries(names, json_values))
def test_any_set_of_columns(record, left_out, more):
    given_cells = {name: value for name, value in record.items() if name not in left_out} | {
        name: value for name, value in more.items() if name not in NAMES
    }
    if not left_out:
        check("native", given_cells, ())
        return
    for encode, table in ((ENCODERS["native"].encode, given_cells), (frame_of_record, given_cells)):
        error = outcome(encode, table)
        assert isinstance(error, DataError)
        check_message(error, next(name for name in NAMES if name in left_out))


def frame_of_record(record):
    frame = pd.DataFrame({name: pd.Series([value], dtype=object) for name, value in record.items()})
    return ENCODERS["native"].transform(frame)


@examples(100)
@given(record=cells)
def test_anything_in_the_place_of_a_record(record):
    for encode in (ENCODERS["native"].encode, ENCODERS["native"].encode_values):
        error = outcome(encode, record)
        assert isinstance(error, DataError)
        check_message(error)

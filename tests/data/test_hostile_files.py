"""Files that no table should be: each becomes a documented encoding, or a DataError that names the file."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from configs.schema import DataConfig
from data.dataset import TabularDataset, load_dataset
from data.encoder import Encoder
from data.sources import load_table
from errors import DataError, DataLoadError
from tests.data.hostile import (
    GOOD,
    GOOD_BYTES,
    check_encoded,
    check_message,
    damaged,
    odd_csv,
    odd_json,
    odd_parquet,
    packed,
    texts,
    written,
)

pytestmark = pytest.mark.filterwarnings("error")


def examples(n):
    """So many, the same in every run."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    return settings(
        max_examples=n, derandomize=True, deadline=None, database=None, suppress_health_check=slow
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


def read(folder, data, suffix):
    """Reads the bytes as a table and as a dataset, and checks what comes of it."""
    path = folder / f"table{suffix}"
    path.write_bytes(data)
    try:
        frame = load_table(str(path))
    except DataLoadError as error:
        check_message(error, where=str(path))
        return
    assert len(frame) > 0
    assert all(isinstance(name, str) and name.strip() for name in frame.columns)
    try:
        dataset = load_dataset(DataConfig(source=str(path), target=frame.columns[-1], val_size=0.5))
    except DataError as error:
        check_message(error, where=str(path))
        return
    check_encoded(dataset.X, dataset.encoder, dataset.n_rows)
    assert np.isfinite(dataset.y).all()
    dataset.save(folder / "saved")
    loaded = TabularDataset.load(folder / "saved")
    assert (loaded.encoder, loaded.target) == (dataset.encoder, dataset.target)
    encoder = Encoder.from_json(json.loads(json.dumps(dataset.encoder.to_json())))
    labelled = frame[~dataset.target.missing(frame[dataset.target.name])]
    X = encoder.transform(labelled)
    assert X.tobytes() == dataset.X.tobytes()
    rows = labelled[list(encoder.column_names)].astype(object).to_dict("records")
    assert X.tobytes() == np.stack([encoder.encode(row) for row in rows]).tobytes()


@examples(300)
@given(
    data=damaged(GOOD_BYTES[".csv"]) | damaged(GOOD_BYTES[".tsv"]), suffix=st.sampled_from([".csv", ".tsv"])
)
def test_a_damaged_csv_file(folder, data, suffix):
    read(folder, data, suffix)


@examples(250)
@given(data=odd_csv() | odd_csv(";"))
def test_a_csv_file_of_odd_cells(folder, data):
    read(folder, data, ".csv")


@examples(200)
@given(data=damaged(GOOD_BYTES[".json"]))
def test_a_damaged_json_file(folder, data):
    read(folder, data, ".json")


@examples(150)
@given(data=damaged(GOOD_BYTES[".jsonl"]) | odd_json(lines=True))
def test_a_damaged_jsonl_file(folder, data):
    read(folder, data, ".jsonl")


@examples(250)
@given(data=odd_json())
@example(data=b"[" * 100_000)
@example(data=b'[{"a": 1, "y": %s}]' % (b"9" * 5_000))
@example(data=b'[{"a": "\\ud800", "y": 1}, {"a": "b", "y": 2}, {"a": "b", "y": 1}]')
def test_a_json_file_of_odd_values(folder, data):
    read(folder, data, ".json")


@examples(120)
@given(data=odd_parquet())
def test_a_parquet_file_of_odd_types(folder, data):
    read(folder, data, ".parquet")


@examples(120)
@given(data=damaged(GOOD_BYTES[".parquet"]))
def test_a_damaged_parquet_file(folder, data):
    read(folder, data, ".parquet")


@examples(120)
@given(draw=st.data(), suffix=st.sampled_from([".gz", ".zst"]))
def test_a_damaged_packed_file(folder, draw, suffix):
    data = packed(GOOD_BYTES[".csv"], suffix)
    read(folder, draw.draw(damaged(data)), f".csv{suffix}")


KINDS = {"수": "numeric", "price, $": "numeric", "share": "numeric", "flag": "boolean", "day": "datetime"}


@examples(200)
@given(name=st.sampled_from(list(KINDS)), row=st.integers(0, len(GOOD) - 1), cell=texts)
def test_a_bad_cell_is_named_with_its_column_and_row(folder, name, row, cell):
    path = folder / "cell.jsonl"
    frame = GOOD.astype(object)
    frame.loc[row, name] = cell
    path.write_bytes(written(frame, ".jsonl"))
    try:
        dataset = load_dataset(DataConfig(source=str(path), target="y", kinds=KINDS, n_folds=2))
    except DataError as error:
        check_message(error, name, cell, where=f"{path}: column {name!r}, data row {row + 1}: ")
    else:
        check_encoded(dataset.X, dataset.encoder, len(GOOD))

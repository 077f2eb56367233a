import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from configs.schema import DataConfig
from data.dataset import TabularDataset, load_dataset
from errors import ConfigError, DataError, DataLoadError

SAMPLE = Path(__file__).parents[2] / "data" / "samples" / "credit_default.csv.gz"
TARGET = "채무 불이행 여부"
N = 200


def make_table(n_rows=N, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "ID": range(1, n_rows + 1),
            "연간 소득": rng.normal(size=n_rows),
            "주거 형태": rng.choice(["자가", "월세", "전세"], n_rows),
            "flag": rng.choice([True, False], n_rows),
            "memo": [f"글 {i}" for i in range(n_rows)],
            TARGET: rng.integers(0, 2, n_rows),
        }
    )
    frame.loc[[3, n_rows // 4], ["연간 소득", "주거 형태"]] = None
    return frame


@pytest.fixture
def write(tmp_path):
    def write(frame, name="table.csv"):
        path = tmp_path / name
        frame.to_csv(path, index=False)
        return str(path)

    return write


def load(source, problem_type=None, seed=0, **options):
    return load_dataset(DataConfig(**{"source": source, "target": TARGET} | options), problem_type, seed)


def assert_same(one, two):
    for name in ("X", "y", "folds", "X_test", "y_test"):
        a, b = getattr(one, name), getattr(two, name)
        assert (a is None) == (b is None), name
        if a is not None:
            assert a.dtype == b.dtype
            assert a.tobytes() == b.tobytes(), name
    for name in ("name", "encoder", "target", "specs", "golden_rows", "fingerprint", "split", "notes"):
        assert getattr(one, name) == getattr(two, name), name


def test_every_row_trains_by_default(write):
    dataset = load(write(make_table(), "my.table.csv.gz"))
    assert dataset.name == "my.table"
    assert (dataset.n_rows, dataset.n_features, dataset.n_folds) == (N, 3, 5)
    assert dataset.problem_type == "binary"
    assert dataset.X.dtype == np.float32
    assert dataset.y.dtype == np.int64
    assert (dataset.X_test, dataset.y_test) == (None, None)
    assert np.bincount(dataset.folds).tolist() == [40] * 5
    assert dataset.encoder.feature_names == ("연간 소득", "주거 형태", "flag")
    kinds = {spec.name: spec.kind for spec in dataset.specs}
    assert kinds == {
        "ID": "ignore",
        "연간 소득": "numeric",
        "주거 형태": "categorical",
        "flag": "boolean",
        "memo": "ignore",
    }
    assert any("column 'ID' is left out: a row number" in note for note in dataset.notes)
    assert any("column 'memo' is left out: 200 different values" in note for note in dataset.notes)


def test_golden_rows_encode_to_rows_of_the_table(write):
    dataset = load(write(make_table()))
    encoded = np.stack([dataset.encoder.encode(row) for row in json.loads(json.dumps(dataset.golden_rows))])
    rows = {row.tobytes() for row in dataset.X}
    assert all(row.tobytes() in rows for row in encoded)
    assert np.isnan(encoded).any(axis=1).sum() == 2


def test_withheld_rows_are_scikit_learns_and_encoded_alike(write):
    frame = make_table()
    path = write(frame)
    dataset = load(path, test_size=0.25, seed=3)
    train, test = train_test_split(range(N), test_size=0.25, random_state=3, stratify=frame[TARGET])
    assert dataset.y.tolist() == frame[TARGET].iloc[train].tolist()
    assert dataset.y_test.tolist() == frame[TARGET].iloc[test].tolist()
    everything = dataset.encoder.transform(frame)
    assert dataset.X.tobytes() == everything[train].tobytes()
    assert dataset.X_test.tobytes() == everything[test].tobytes()
    assert "50 rows are withheld for the test" in dataset.notes


def test_withheld_rows_influence_nothing(write):
    frame = make_table()
    _, test = train_test_split(range(N), test_size=0.25, random_state=0, stratify=frame[TARGET])
    plain = load(write(frame), test_size=0.25)
    # A category, a text among numbers and a value in a constant column, in withheld rows alone.
    frame["constant"] = 1
    frame.loc[test[0], "주거 형태"] = "고시원"
    frame.loc[test[1], "constant"] = 2
    marked = load(write(frame), test_size=0.25)
    assert marked.encoder == plain.encoder
    assert marked.X.tobytes() == plain.X.tobytes()
    assert np.isnan(marked.X_test[0, 1])
    assert {spec.name: spec.note for spec in marked.specs}["constant"] == "constant"


def test_a_test_file(write):
    frame, other = make_table(), make_table(60, seed=1)
    other.loc[0, "주거 형태"] = "고시원"
    other.loc[5, TARGET] = None
    columns = ["flag", TARGET, "연간 소득", "주거 형태"]
    test_source = write(other[columns], "test.csv")
    dataset = load(write(frame), test_source=test_source)
    assert dataset.n_rows == N
    assert dataset.X_test.shape == (59, 3)
    assert np.isnan(dataset.X_test[0, 1])
    assert dataset.y_test.tolist() == other[TARGET].dropna().tolist()
    assert f"{test_source}: 1 of 60 rows have no '{TARGET}' and are left out" in dataset.notes
    assert dataset.encoder == load(write(frame)).encoder
    assert dataset.fingerprint != load(write(frame)).fingerprint


def test_codes_that_look_like_numbers_in_the_test_file_stay_texts(write):
    train = pd.DataFrame({"code": ["01", "02", "1A"] * 20, "x": range(0, 120, 2), TARGET: [0, 1] * 30})
    test = pd.DataFrame({"code": ["01", "02"], "x": [1, 2], TARGET: [0, 1]})
    dataset = load(write(train), test_source=write(test, "test.csv"))
    assert dataset.X_test[:, 0].tolist() == [0.0, 1.0]


def test_rows_without_a_target_are_left_out_and_told(write):
    frame = make_table().astype({TARGET: object})
    frame.loc[[0, 9], TARGET] = None
    dataset = load(write(frame))
    assert dataset.n_rows == N - 2
    assert dataset.target.classes == (0, 1)
    assert f"2 of 200 rows have no '{TARGET}' and are left out" in dataset.notes
    assert "ID" not in dataset.encoder.feature_names


def test_configuration_reaches_the_columns(write):
    dataset = load(
        write(make_table()),
        ignore=["연간 소득"],
        kinds={"ID": "numeric", "flag": "categorical"},
        n_folds=3,
        positive_class="0",
    )
    assert dataset.encoder.feature_names == ("ID", "주거 형태", "flag")
    assert dataset.encoder.cardinalities == (0, 3, 2)
    assert dataset.n_folds == 3
    assert dataset.target.classes == (1, 0)
    assert not any("연간 소득" in note for note in dataset.notes)


def test_missing_values_are_filled_from_the_training_rows(write):
    frame = make_table()
    path = write(frame)
    dataset = load(path, missing="median", test_size=0.25)
    train, _ = train_test_split(range(N), test_size=0.25, random_state=0, stratify=frame[TARGET])
    median = np.float32(frame["연간 소득"].iloc[train].median())
    assert not np.isnan(dataset.X).any()
    assert dataset.encoder.encode({"연간 소득": None, "주거 형태": "자가", "flag": True})[0] == median
    assert load(path, missing="native", test_size=0.25).encoder != dataset.encoder


def test_rows_that_miss_a_value_are_left_out_on_request(write):
    frame = make_table()
    frame.loc[7, "memo"] = None  # left out as a column, so no row is lost to it
    dataset = load(write(frame), missing="drop", test_source=write(frame, "test.csv"))
    assert dataset.n_rows == N - 2
    assert not np.isnan(dataset.X).any()
    assert "2 of 200 rows miss a value and are left out (data.missing=drop)" in dataset.notes
    assert "ID" not in dataset.encoder.column_names
    assert np.isnan(dataset.X_test).any(axis=1).sum() == 2
    assert np.isnan(dataset.encoder.encode({"연간 소득": None, "주거 형태": "자가", "flag": True})[0])
    assert dataset.golden_rows[0].keys() == {"연간 소득", "주거 형태", "flag"}


def test_dropping_rows_leaves_something_to_learn_from(write):
    frame = make_table()
    frame["연간 소득"] = frame["연간 소득"].where(frame[TARGET] == 0)
    message = refused(write, frame, missing="drop")
    assert "data.missing=drop: classes left without a training row: 1; fill them" in message
    frame["flag"] = frame["flag"].astype(object).where(frame[TARGET] == 1, None)
    message = refused(write, frame, missing="drop")
    assert "every row misses a value; column '연간 소득' misses most" in message


def test_the_problem_type_can_be_asked_for(write):
    frame = make_table()
    frame[TARGET] = np.arange(N) % 3
    assert load(write(frame)).problem_type == "multiclass"
    dataset = load(write(frame), problem_type="regression")
    assert dataset.y.dtype == np.float64
    assert dataset.target.classes == ()


def test_same_seed_same_dataset_and_other_seed_other_folds(write):
    path = write(make_table())
    assert_same(load(path, test_size=0.2, seed=1), load(path, test_size=0.2, seed=1))
    assert (load(path, seed=1).folds != load(path, seed=2).folds).any()


@pytest.mark.parametrize("test_size", [0.0, 0.3])
def test_saved_and_loaded_is_the_same(write, tmp_path, test_size):
    dataset = load(write(make_table()), test_size=test_size)
    folder = tmp_path / "runs" / "dataset"
    dataset.save(folder)
    loaded = TabularDataset.load(folder)
    assert_same(dataset, loaded)
    assert isinstance(loaded.X, np.memmap)
    assert not loaded.X.flags.writeable
    expected = {"X.npy", "y.npy", "folds.npy", "encoder.json", "target.json", "dataset.json"}
    expected |= {"X_test.npy", "y_test.npy"} if test_size else set()
    assert {path.name for path in folder.iterdir()} == expected
    assert [path.name for path in folder.parent.iterdir()] == ["dataset"]


def test_a_division_is_saved_with_the_rows(write, tmp_path):
    frame = make_table().assign(day=range(N))
    dataset = load(write(frame), time="day", val_size=0.25, kinds={"day": "numeric"})
    dataset.save(tmp_path / "dataset")
    loaded = TabularDataset.load(tmp_path / "dataset")
    assert_same(dataset, loaded)
    assert (loaded.split, loaded.n_folds) == ("time", 1)
    assert loaded.folds.tolist() == [-1] * 150 + [0] * 50


def test_saving_replaces_and_a_failed_save_leaves_what_was_there(write, tmp_path, monkeypatch):
    folder = tmp_path / "dataset"
    path = write(make_table())
    load(path, test_size=0.3).save(folder)
    dataset = load(path)
    dataset.save(folder)
    assert_same(TabularDataset.load(folder), dataset)

    def fail(*args, **options):
        raise OSError("disk full")

    monkeypatch.setattr("data.dataset.np.save", fail)
    with pytest.raises(OSError, match="disk full"):
        load(path, test_size=0.3).save(folder)
    assert_same(TabularDataset.load(folder), dataset)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dataset", "table.csv"]


@pytest.mark.parametrize(
    "damage", ["missing", "no array", "cut array", "pickled", "bad json", "format", "no key"]
)
def test_a_damaged_folder_is_refused(write, tmp_path, damage):
    folder = tmp_path / "dataset"
    load(write(make_table())).save(folder)
    about = json.loads((folder / "dataset.json").read_text())
    if damage == "no array":
        (folder / "y.npy").unlink()
    elif damage == "cut array":
        (folder / "X.npy").write_bytes((folder / "X.npy").read_bytes()[:200])
    elif damage == "pickled":
        np.save(folder / "y.npy", np.array([{}], dtype=object), allow_pickle=True)
    elif damage == "bad json":
        (folder / "target.json").write_text("{")
    elif damage == "format":
        (folder / "dataset.json").write_text(json.dumps(about | {"format": 99}))
    elif damage == "no key":
        del about["specs"]
        (folder / "dataset.json").write_text(json.dumps(about))
    with pytest.raises(DataLoadError, match="dataset"):
        TabularDataset.load(tmp_path / "nowhere" / "dataset" if damage == "missing" else folder)


def refused(write, frame, error=DataError, **options):
    path = frame if isinstance(frame, str) else write(frame)
    with pytest.raises(error) as caught:
        load(path, **options)
    assert Path(path).name in str(caught.value)
    return str(caught.value)


def test_the_target_is_not_in_the_table(write):
    message = refused(write, make_table(), target="채무 불이행여부")
    assert "no target column '채무 불이행여부' (did you mean '채무 불이행 여부'?)" in message


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([1] * N, "constant, every row is 1"),
        ([None] * N, "all 200 rows are missing"),
        ([f"class {i}" for i in range(N)], "every one of the 200 classes has a single row"),
        ([1.5, np.inf, 2.5, 3.5] * (N // 4), "data row 2: 'inf' is infinite or too large"),
    ],
)
def test_a_target_that_cannot_be_learned(write, labels, found):
    assert found in refused(write, make_table().assign(**{TARGET: labels}))


def test_infinite_values(write):
    frame = make_table()
    frame.loc[[7, 9], "연간 소득"] = np.inf
    assert "column '연간 소득', data row 8: 'inf' is infinite or too large" in refused(write, frame)


def test_a_column_of_lists(tmp_path, write):
    path = tmp_path / "t.json"
    path.write_text(json.dumps([{"a": i, "tags": ["x"], TARGET: i % 2} for i in range(20)]))
    assert "column 'tags', data row 1: ['x'] is a list" in refused(write, str(path))
    assert load(str(path), ignore=["tags"]).encoder.feature_names == ("a",)


def test_duplicate_column_names(tmp_path, write):
    path = tmp_path / "t.csv"
    path.write_text(f"a,a,{TARGET}\n1,2,3\n")
    assert "column names must differ" in refused(write, str(path), DataLoadError)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("t.csv.gz", b"", "empty file"),
        ("t.csv.gz", gzip.compress(b""), "empty file"),
        ("t.csv", b"", "empty file"),
        ("t.csv", f"a,{TARGET}\n".encode() * 9 + b"1,\xff\n", "is not UTF-8, which the rest is"),
        ("t.csv", f"a,{TARGET}\n".encode(), "no rows"),
    ],
)
def test_files_that_are_no_tables(tmp_path, write, name, content, found):
    path = tmp_path / name
    path.write_bytes(content)
    assert found in refused(write, str(path), DataLoadError)


def test_a_missing_file(tmp_path, write):
    assert "no such file" in refused(write, str(tmp_path / "nowhere.csv"), DataLoadError)


def test_no_column_is_left(write):
    frame = pd.DataFrame({"ID": range(50), "c": 1, TARGET: [0, 1] * 25})
    message = refused(write, frame)
    assert "no column is left to learn from: 'ID': a row number" in message
    assert "the target is the only column" in refused(write, frame[[TARGET]])


def test_unknown_names_in_the_configuration(write):
    assert "did you mean 'flag'" in refused(write, make_table(), ignore=["flagg"])
    assert "did you mean 'flag'" in refused(write, make_table(), kinds={"Flag": "numeric"})
    assert "'2' is not a class" in refused(write, make_table(), positive_class="2")


def test_fewer_rows_than_folds(write):
    dataset = load(write(make_table(8)), n_folds=20)
    assert dataset.n_folds == 8
    assert "data.n_folds: 8 folds instead of 20, as there are 8 rows to train on" in dataset.notes


def test_a_label_of_the_test_file_that_never_trained(write):
    other = make_table(20)
    other.loc[4, TARGET] = 7
    path = write(other, "test.csv")
    with pytest.raises(DataError, match=r"test\.csv: target .*data row 5: '7.* not among the classes"):
        load(write(make_table()), test_source=path)
    with pytest.raises(DataError, match=r"test\.csv: no target column"):
        load(write(make_table()), test_source=write(other.drop(columns=TARGET), "test.csv"))
    with pytest.raises(DataError, match=r"test\.csv: column 'flag' is missing"):
        load(write(make_table()), test_source=write(make_table(20).drop(columns="flag"), "test.csv"))


def test_too_large_a_test_share_leaves_a_class_without_rows(write):
    frame = make_table()
    frame[TARGET] = ["a"] * 99 + ["b"] * 99 + ["rare"] * 2
    assert "classes left without a training row: 'rare'" in refused(write, frame, test_size=0.9)


def test_two_ways_to_withhold_rows(write):
    path = write(make_table())
    with pytest.raises(ConfigError, match="give one of them"):
        load(path, test_source=path, test_size=0.2)


def test_the_sample_table():
    dataset = load_dataset(
        DataConfig(
            source=str(SAMPLE),
            target="default payment next month",
            test_size=0.2,
            kinds={"SEX": "categorical"},
        )
    )
    assert (dataset.problem_type, dataset.name) == ("binary", "credit_default")
    assert (dataset.X.shape, dataset.X_test.shape) == ((24_000, 23), (6_000, 23))
    assert dict(zip(dataset.encoder.feature_names, dataset.encoder.cardinalities, strict=True))["SEX"] == 2
    assert {spec.name for spec in dataset.specs if spec.kind == "ignore"} == {"ID"}
    assert dataset.y.mean() == pytest.approx(0.2212, abs=1e-4)
    assert not np.isnan(dataset.X).any()

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from configs.schema import DataConfig
from data.dataset import load_dataset
from data.division import assign, choose_split, division_notes, set_aside, withhold
from data.features import infer_features
from data.folds import training_rows
from data.target import Target
from errors import ConfigError, DataError

N = 120
DAYS = [date(2026, 1, 1) + timedelta(days=i) for i in range(N)]


def make_frame(**columns):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"x": rng.normal(size=N), "y": rng.permutation(N) % 3, **columns})


@dataclass
class Division:
    kind: str
    train_rows: np.ndarray
    test_rows: np.ndarray
    folds: np.ndarray
    notes: list


def make(frame, seed=0, problem_type=None, **options):
    config = DataConfig(source="t.csv", target="y", **options)
    target = Target.infer(frame["y"], problem_type)
    whole = choose_split(config, frame, target.encode(frame["y"]), target, seed)
    train_rows, test_rows = withhold(config, whole)
    split = whole.of(train_rows)
    folds, notes = assign(config, split)
    notes += division_notes(config, split, folds, target)
    return Division(split.kind, train_rows, test_rows, folds, notes)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"split": "group"}, ["data.split=group", "data.group=COLUMN"]),
        ({"split": "time"}, ["data.split=time", "data.time=COLUMN"]),
        ({"group": "g", "time": "t"}, ["data.group=g", "data.time=t", "one of them"]),
        ({"split": "random", "group": "g"}, ["data.group=g", "data.split=random", "data.split=group"]),
        ({"split": "group", "group": "g", "time": "t"}, ["data.group=g", "data.time=t"]),
        ({"val_size": 0.2, "n_folds": 5}, ["data.val_size=0.2", "data.n_folds=5", "one of them"]),
        ({"test_size": 0.2, "test_source": "a.csv"}, ["data.test_source=a.csv", "data.test_size=0.2"]),
    ],
)
def test_keys_that_contradict_each_other(options, named):
    with pytest.raises(ConfigError) as caught:
        load_dataset(DataConfig(source="nowhere.csv", target="y", **options))
    assert all(words in str(caught.value) for words in named)


def test_numbers_cannot_be_stratified():
    with pytest.raises(ConfigError, match=r"data\.split=stratified: .*regression; allowed: random"):
        make(make_frame(), problem_type="regression", split="stratified")


@pytest.mark.parametrize("key", ["group", "time"])
def test_the_column_must_be_there_and_another_one(key):
    frame = make_frame(customer=np.arange(N) // 3)
    with pytest.raises(DataError, match=rf"data\.{key}: no column 'customr' \(did you mean 'customer'\?\)"):
        make(frame, **{key: "customr"})
    with pytest.raises(DataError, match=rf"data\.{key}: 'y' is the target"):
        make(frame, **{key: "y"})
    frame["customer"] = frame["customer"].astype(object)
    frame.loc[[7, 9], "customer"] = None
    with pytest.raises(DataError, match=rf"data\.{key}: column 'customer', data row 8: .*2 of 120 have none"):
        make(frame, **{key: "customer"})


def test_classes_are_stratified_and_numbers_are_not_unless_asked():
    frame = make_frame()
    division = make(frame, n_folds=4)
    assert division.kind == "stratified"
    assert all(np.bincount(frame["y"][division.folds == k]).tolist() == [10] * 3 for k in range(4))
    assert make(frame, problem_type="regression").kind == "random"
    plain = make(frame, split="random", n_folds=4)
    assert plain.kind == "random"
    assert any(np.bincount(frame["y"][plain.folds == k]).tolist() != [10] * 3 for k in range(4))


@pytest.mark.parametrize(
    ("options", "n_folds", "n_validated"),
    [
        ({}, 5, N),
        ({"holdout_rows": N}, 5, N),
        ({"holdout_rows": N - 1}, 1, N // 5),
        ({"holdout_rows": N - 1, "n_folds": 3}, 3, N),
        ({"holdout_rows": 0}, 5, N),
        ({"holdout_rows": None}, 5, N),
        ({"val_size": 0.3}, 1, 36),
        ({"val_size": 0.5, "test_size": 0.5}, 1, 30),
        ({"holdout_rows": 100, "test_size": 0.2}, 5, 96),
    ],
)
def test_folds_or_one_part_validate(options, n_folds, n_validated):
    division = make(make_frame(), **options)
    assert division.folds.max() + 1 == n_folds
    assert np.count_nonzero(division.folds >= 0) == n_validated
    told = any("data.holdout_rows=119" in note for note in division.notes)
    assert told == (options == {"holdout_rows": N - 1})


def test_of_a_large_table_a_holdout_is_50_000_rows():
    n_rows = 500_000
    frame = pd.DataFrame({"y": np.arange(n_rows) % 7})
    frame.loc[[5, 99], "y"] = 7
    division = make(frame)
    assert np.count_nonzero(division.folds == 0) == 50_000
    assert set(frame["y"][division.folds == -1]) == set(range(8))
    assert any("50,000 of them" in note and "data.n_folds=5" in note for note in division.notes)


@pytest.mark.parametrize("options", [{}, {"val_size": 0.25}])
def test_a_group_is_on_one_side_of_every_division(options):
    frame = make_frame(customer=[f"c{i}" for i in np.random.default_rng(1).integers(0, 30, N)])
    division = make(frame, group="customer", test_size=0.25, **options)
    tested = set(frame["customer"].iloc[division.test_rows])
    customers = frame["customer"].iloc[division.train_rows].to_numpy()
    assert division.kind == "group"
    assert tested
    assert not tested & set(customers)
    for k in range(division.folds.max() + 1):
        train = training_rows(division.folds, k, "group")
        assert not set(customers[train]) & set(customers[division.folds == k])
    note = f"rows with the same 'customer' stay together; {len(set(customers))} groups train"
    assert note in division.notes


TIMES = {
    "numbers": list(range(N)),
    "fractions": [i / 7 for i in range(N)],
    "dates": DAYS,
    "datetimes": pd.to_datetime(DAYS),
    "with a time zone": pd.to_datetime(DAYS).tz_localize("Asia/Seoul"),
    "date texts": [day.isoformat() for day in DAYS],
    "datetime texts": [f"{day}T13:30:00Z" for day in DAYS],
    "months": [f"{2000 + i // 12}-{i % 12 + 1:02}" for i in range(N)],
}


@pytest.mark.parametrize("kind", TIMES)
@pytest.mark.parametrize("options", [{}, {"val_size": 0.25}])
def test_models_are_validated_and_tested_on_later_rows(kind, options):
    frame = make_frame(when=TIMES[kind])
    frame["place"] = np.arange(N)
    frame = frame.sample(frac=1, random_state=0)
    division = make(frame, time="when", test_size=0.25, **options)
    place = frame["place"].iloc[division.train_rows].to_numpy()
    assert set(frame["place"].iloc[division.test_rows]) == set(range(90, N))
    for k in range(division.folds.max() + 1):
        train = training_rows(division.folds, k, "time")
        assert place[train].max() < place[division.folds == k].min()
    assert (
        make(frame, time="when", test_size=0.25, seed=1, **options).folds.tolist() == division.folds.tolist()
    )


def test_times_of_different_zones_are_compared_as_moments():
    early, late = "2026-01-01T08:00:00+09:00", "2026-01-01T01:00:00+00:00"
    frame = make_frame(when=[early, late] * (N // 2))
    division = make(frame, time="when", val_size=0.5)
    assert set(frame["when"][division.folds == 0]) == {late}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["2026-01-01"] * 119 + ["soon"], "data row 120: 'soon' is not a date; dates are written"),
        (["2026-01-01"] * 119 + [5], "data row 120: 5 is not a date"),
        ([1] * 119 + ["2026-01-01"], "data row 120: '2026-01-01' is not a number"),
        ([True, False] * 60, "data row 1: True is not a date"),
        ([1.0, np.inf] * 60, "first in data row 2: inf"),
        ([["2026"]] * N, r"data row 1: \['2026'\] is a list"),
        (pd.to_timedelta(range(N), "D"), "data row 1: .* is a"),
    ],
)
def test_what_is_no_time(values, found):
    with pytest.raises(DataError, match=rf"data\.time: column 'when'.*{found}"):
        make(make_frame(when=pd.Series(values)), time="when")


def test_too_few_times_for_the_folds():
    frame = make_frame(year=2020 + np.arange(N) % 4)
    assert make(frame, time="year", n_folds=3).folds.tolist() == (frame["year"] - 2021).tolist()
    division = make(frame, time="year")
    assert division.folds.tolist() == (frame["year"] - 2021).tolist()
    assert any("3 folds instead of 5, as there are 4 different times" in note for note in division.notes)


@pytest.mark.parametrize("n_folds", [None, 5, 20])
@pytest.mark.parametrize(
    ("kind", "n_units", "n_made"), [("group", 4, 4), ("group", 2, 2), ("time", 3, 2), ("time", 2, 1)]
)
def test_as_many_folds_as_there_are(kind, n_units, n_made, n_folds):
    frame = make_frame(part=2020 + np.arange(N) % n_units)
    division = make(frame, n_folds=n_folds, **{kind: "part"})
    assert division.folds.max() + 1 == n_made
    assert sorted(np.unique(division.folds[division.folds >= 0])) == list(range(n_made))
    (note,) = [note for note in division.notes if "instead of" in note]
    assert note.startswith(f"data.n_folds: {n_made} fold")
    assert f"there are {n_units}" in note
    kept = frame["part"].to_numpy()[division.train_rows]
    assert all(len(np.unique(division.folds[kept == part])) == 1 for part in np.unique(kept))


@pytest.mark.parametrize("kind", ["group", "time"])
@pytest.mark.parametrize("options", [{}, {"n_folds": 5}, {"test_size": 0.2}])
def test_of_one_group_or_time_nothing_can_be_made(kind, options):
    n_units = 2 if "test_size" in options else 1
    frame = make_frame(part=2020 + np.arange(N) % n_units)
    with pytest.raises(
        DataError, match=rf"data\.{kind}: all .* training rows have one .* in 'part'.* two are needed"
    ):
        make(frame, **options, **{kind: "part"})


@pytest.mark.parametrize("kind", ["group", "time"])
def test_a_part_far_from_the_share_asked_for_is_told(kind):
    frame = make_frame(part=2020 + (np.arange(N) >= N // 10))
    assert any(
        "data.val_size=0.3 holds" in note for note in make(frame, val_size=0.3, **{kind: "part"}).notes
    )
    even = make_frame(part=2020 + np.arange(N) % 20)
    assert not any("holds" in note for note in make(even, val_size=0.3, **{kind: "part"}).notes)


def test_a_class_that_comes_late_is_told():
    frame = make_frame(when=range(N))
    frame["y"] = np.arange(N) % 2
    frame.loc[70:, "y"] = 2
    division = make(frame, time="when")
    assert "classes that some folds train without: 2" in division.notes


def test_classes_that_only_withheld_rows_have(tmp_path):
    def load(labels, **options):
        make_frame(when=range(N)).assign(y=labels).to_csv(tmp_path / "t.csv", index=False)
        return load_dataset(DataConfig(source=str(tmp_path / "t.csv"), target="y", test_size=0.2, **options))

    dataset = load(["a", "b"] * 50 + ["new"] * 20, time="when")
    assert "classes that only rows left out have, and nothing can learn: 'new'" in dataset.notes
    assert set(dataset.y_test[-20:]) == {2}
    with pytest.raises(DataError, match=r"data\.test_size: classes left without a training row: 1"):
        load([0] * 100 + [1] * 20, time="when")


def test_the_dividing_column_is_a_feature_only_where_it_can_teach():
    frame = make_frame(
        g=np.arange(N) // 3, t=np.arange(N) * 2, d=[f"2026-01-{i % 7 + 1:02}" for i in range(N)]
    )

    def kinds(**options):
        config = DataConfig(source="t.csv", target="y", **options)
        specs = set_aside(infer_features(frame, "y", config.ignore, config.kinds), config)
        return {spec.name: spec.kind for spec in specs}

    assert kinds() == {"x": "numeric", "g": "numeric", "t": "numeric", "d": "datetime"}
    assert kinds(group="g")["g"] == "ignore"
    assert kinds(group="g", kinds={"g": "numeric"})["g"] == "numeric"
    assert kinds(time="t") == kinds()
    assert kinds(time="d")["d"] == "datetime"
    assert kinds(time="d", kinds={"d": "categorical"})["d"] == "categorical"


def test_dates_without_a_zone_are_utc():
    stamped = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=6 * i) for i in range(N)]
    plain = [moment.replace(tzinfo=None).isoformat() for moment in stamped]
    mixed = [plain[i] if i % 2 else stamped[i].isoformat() for i in range(N)]
    assert (
        make(make_frame(when=mixed), time="when").folds.tolist()
        == make(make_frame(when=stamped), time="when").folds.tolist()
    )

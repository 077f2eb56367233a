"""Each warning is given for a table made for it, and none for a clean one."""

import json

import numpy as np
import pandas as pd
import pytest

from configs.schema import DataConfig
from data.inspection import inspect_table
from errors import DataError, DataLoadError

N = 400
RNG = np.random.default_rng(7)
NOISE = RNG.normal(size=N)
CLASSES = np.where(RNG.random(N) < 0.4, "yes", "no")
VALUES = RNG.normal(size=N) + 0.5 * NOISE


def clean(y=CLASSES, **columns):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "나이": rng.integers(18, 90, N),
            'a "b": {c}, [d]': NOISE,
            "plan type": rng.choice(["basic", "plus", "gold"], N),
            "y": y,
        }
    )
    return frame.assign(**columns)


@pytest.fixture
def look(tmp_path):
    """Inspect frames as files."""

    def run(frame, test=None, problem_type=None, **options):
        options = {"target": "y"} | options
        frame.to_csv(tmp_path / "train.csv", index=False)
        if test is not None:
            test.to_csv(tmp_path / "test.csv", index=False)
            options["test_source"] = str(tmp_path / "test.csv")
        return inspect_table(DataConfig(source=str(tmp_path / "train.csv"), **options), problem_type)

    return run


def codes(inspection):
    return [warning.code for warning in inspection.warnings]


@pytest.mark.parametrize(
    "y", [CLASSES, VALUES, RNG.choice([0, 1, 2, 3], N)], ids=["binary", "values", "four"]
)
def test_a_clean_table_has_no_warnings(look, y):
    unseen = clean(y).assign(나이=lambda f: f["나이"] + 100)
    assert look(clean(y), test=unseen).warnings == ()


def days(n):
    return pd.date_range("2024-01-01", periods=n).strftime("%Y-%m-%d")


def doubled():
    return pd.concat([clean(), clean().iloc[:8]])


def contradicted():
    return pd.concat([clean(), clean().iloc[:8].assign(y=lambda f: f["y"].map({"yes": "no", "no": "yes"}))])


def few(label, n, others=CLASSES):
    return clean(np.where(np.arange(N) < n, label, others)).sample(frac=1, random_state=0)


def drifting():
    rng = np.random.default_rng(3)
    return clean(np.where(rng.random(N) < np.linspace(0.1, 0.9, N), "yes", "no"))


def shuffled_days():
    return drifting().assign(day=days(N)).sample(frac=1, random_state=0)


SPARSE = np.where(np.arange(N) % 3 == 0, NOISE * 2 + 1, np.nan)
DAYS = [f"2023-{k % 12 + 1:02}-{k % 28 + 1:02}" for k in range(N)]
WARNINGS = {
    "leak": (clean(code=np.where(CLASSES == "yes", 3.0, 4.0)), ["code"], "'code' (AUC 1.000)"),
    "leak by a category": (clean(code=np.where(CLASSES == "yes", "a", "b")), ["code"], "data.ignore=[code]"),
    "leak by what is missing": (
        clean(code=np.where(CLASSES == "yes", np.arange(N) % 9 / 2, np.nan)),
        ["code"],
        "'code' (AUC 1.000)",
    ),
    "leak of values": (clean(VALUES, code=VALUES * 3 + 0.01 * NOISE), ["code"], "'code' (R2 0.9"),
    "duplicate_rows": (doubled(), [], "8 of 408 rows (1.96%)"),
    "conflicting_rows": (contradicted(), [], "16 of 408 rows"),
    "rare_classes": (few("maybe", 4), ["y"], "fewer rows than the 5 folds: 'maybe' (4)"),
    "imbalanced": (few("yes", 8, "no"), ["y"], "'yes' (8)"),
    "missing_labels": (clean(np.where(np.arange(N) < 9, None, CLASSES)), ["y"], "9 rows"),
    "time_order": (clean(day=days(N)), ["day"], "sorted by the date 'day'"),
    "time_order but for some rows": (
        clean(day=[*days(3), *days(N - 3)]),
        ["day"],
        "sorted by the date 'day'",
    ),
    "time_order by a number": (
        clean(**{"연 도": np.arange(N) // 40}),
        ["연 도"],
        "data.split=time 'data.time=연 도'",
    ),
    "time_order in a shuffled file": (shuffled_days(), ["day"], "'y' changes along the date 'day'"),
    "target_drift": (drifting(), [], "data.split=time data.time=COLUMN"),
    "target_drift of values": (clean(VALUES + np.linspace(0, 3, N)), [], "the mean of 'y'"),
    "constant": (clean(k=5), ["k"], "'k'"),
    "all_missing": (clean(k=None), ["k"], "'k'"),
    "left_out": (clean(key=[f"key {i * 7 % N}" for i in range(N)]), ["key"], "data.kinds={key: categorical}"),
    "id_like": (clean(code=RNG.permutation(9000)[:N]), ["code"], "data.ignore=[code]"),
    "id_like named in Korean": (
        clean(고객번호=[*RNG.permutation(9000)[: N - 5], *range(5)]),
        ["고객번호"],
        "'고객번호'",
    ),
    "high_cardinality": (clean(city=[f"c{i}" for i in RNG.integers(0, 150, N)]), ["city"], "in 400 rows"),
    "many_missing": (clean(k=SPARSE), ["k"], "'k' (66.5% missing)"),
    "sentinel": (
        clean(income=np.where(np.arange(N) % 50, RNG.integers(10, 5000, N), -999)),
        ["income"],
        "'income' (-999 in 2% of the rows, all others ",
    ),
    "sentinel of two kinds": (
        clean(score=np.select([np.arange(N) % 50 == 1, np.arange(N) % 50 == 2], [9999, -99], NOISE.round(3))),
        ["score"],
        "9999 in 2% of the rows, -99 in 2% of the rows, all others -",
    ),
    "sentinel below nothing": (
        clean(days=np.where(np.arange(N) % 50, RNG.integers(0, 400, N), -1)),
        ["days"],
        "'days' (-1 in 2% of the rows, all others 0 .. ",
    ),
    "sentinel of dates": (
        clean(born=np.where(np.arange(N) % 40, DAYS, "1900-01-01")),
        ["born"],
        "'born' (1900-01-01 in 2.5% of the rows, all others 2023-01-",
    ),
    "sentinel at the end of time": (
        clean(until=np.where(np.arange(N) % 40, DAYS, "9999-12-31")),
        ["until"],
        "9999-12-31 in 2.5%",
    ),
    "code_as_number": (
        clean(zip_code=RNG.integers(10_000, 99_999, N) // 40 * 40),
        ["zip_code"],
        "'zip_code' (5 digits); to learn from them as categories, add 'data.kinds={zip_code: categorical}'",
    ),
    "code_as_number of two columns": (
        clean(Telefon=RNG.integers(10**9, 10**10, N) // 50 * 50, fips=RNG.integers(1000, 9999, N) // 50 * 50),
        ["Telefon", "fips"],
        "add 'data.kinds={Telefon: categorical}' 'data.kinds={fips: categorical}'",
    ),
    "spelling": (
        clean(tier=np.where(np.arange(N) % 40, np.where(NOISE > 0, "basic", "gold"), "Basic ")),
        ["tier"],
        "'Basic ' (10 rows)",
    ),
    "spelling of classes": (clean(np.where(np.arange(N) % 8, CLASSES, "Yes")), ["y"], "'Yes' (50 rows)"),
    "mostly_zero": (
        clean(gain=np.where(np.arange(N) % 12, 0, RNG.integers(1, 900, N))),
        ["gain"],
        "'gain' (91.5% are 0)",
    ),
    "near_constant": (
        clean(k=np.where(np.arange(N) % 200, 7, NOISE.round(2))),
        ["k"],
        "'k' (99.5% are 7)",
    ),
    "near_constant category": (
        clean(k=np.where(np.arange(N) % 200, "on", "off")),
        ["k"],
        "'k' (99.5% are 'on')",
    ),
    "identical_columns": (clean(again=clean()["나이"]), ["나이", "again"], "'나이', 'again'"),
}


# What else is true of these tables.
ALONG = {
    "leak by what is missing": ["many_missing"],
    "time_order": ["left_out"],
    "time_order but for some rows": ["left_out"],
    "time_order in a shuffled file": ["left_out"],
}


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings_of_a_table(look, name):
    frame, columns, text = WARNINGS[name]
    inspection = look(frame)
    found = {warning.code: warning for warning in inspection.warnings}
    warning = found[name.split()[0]]
    assert list(warning.columns) == columns
    assert text in warning.message
    assert "\n" not in warning.message
    assert set(found) <= {warning.code, *ALONG.get(name, ())}


OTHER = clean().assign(나이=lambda f: f["나이"] + 100)
TESTS = {
    "shared_rows": (pd.concat([OTHER, clean().iloc[:5]]), [], "5 of 405 test rows"),
    "new_categories": (
        OTHER.assign(**{"plan type": ["none", "gold"] * (N // 2)}),
        ["plan type"],
        "'plan type' 1 ('none'; 200 rows)",
    ),
    "new_classes": (OTHER.assign(y=["maybe", "no"] * (N // 2)), ["y"], "'maybe' (200 rows)"),
    "missing_test_columns": (OTHER.drop(columns="나이"), ["나이"], "data.ignore=[나이]"),
    "extra_test_columns": (OTHER.assign(more=1), ["more"], "'more'"),
    "unlabelled_test": (OTHER.drop(columns="y"), ["y"], "no 'y'"),
    "test_values": (OTHER.assign(나이=["old", *OTHER["나이"][1:]]), ["나이"], "'old' is not a number"),
}


@pytest.mark.parametrize("code", TESTS)
def test_warnings_of_a_test_file(look, code):
    test, columns, text = TESTS[code]
    inspection = look(clean(), test=test)
    (warning,) = (w for w in inspection.warnings if w.code == code)
    assert list(warning.columns) == columns
    assert text in warning.message
    assert set(codes(inspection)) - {"shared_rows"} <= {code}
    assert inspection.test_rows == len(test)


def test_shared_rows_are_found_whatever_the_number_format(look):
    assert codes(look(clean(), test=clean().iloc[:9].astype({"나이": float}))) == ["shared_rows"]


def test_rows_sorted_by_the_target_are_no_matter_of_time(look):
    assert look(clean().sort_values("y")).warnings == ()
    assert look(clean(VALUES).sort_values("y")).warnings == ()


def test_categories_that_only_look_alike_as_numbers_are_no_duplicates(look):
    frame = clean()[["y"]].assign(code=["1,2", "12", "1 2", "12%"] * (N // 4)).drop_duplicates()
    assert "duplicate_rows" not in codes(
        look(pd.concat([frame, clean()[["y"]].assign(code="x").iloc[:60]])[:8])
    )


def test_amounts_that_differ_in_every_row_are_no_ids(look):
    assert look(clean(price=RNG.permutation(10**6)[:N])).warnings == ()


def test_columns_left_out_on_request_are_not_warned_of(look):
    frame = clean(k=5, code=np.where(CLASSES == "yes", 3, 4))
    assert look(frame, ignore=["k"], kinds={"code": "ignore"}).warnings == ()


def test_without_a_target(look):
    inspection = look(doubled().drop(columns="y"), target="")
    assert inspection.target is None
    assert codes(inspection) == ["duplicate_rows"]


def test_what_is_told_of_columns_and_target(look):
    frame = clean(flag=["yes", "no"] * (N // 2), price=[f"{i}.50" for i in range(N - 1)] + ["?"], day=days(N))
    frame["plan type"] = ["basic", "basic", "gold", None] * (N // 4)
    inspection = look(frame)
    columns = {column.name: column for column in inspection.columns}
    age, plan = columns["나이"], columns["plan type"]
    assert (age.kind, age.low, age.high) == ("numeric", frame["나이"].min(), frame["나이"].max())
    assert (plan.missing, plan.missing_share, plan.distinct) == (100, 0.25, 2)
    assert [(f.value, f.count, f.share) for f in plan.frequent] == [("basic", 200, 0.5), ("gold", 100, 0.25)]
    assert (plan.low, plan.high) == (None, None)
    assert (columns["price"].low, columns["price"].high) == (0.5, 398.5)
    assert (columns["day"].low, columns["day"].high) == ("2024-01-01", "2025-02-03")
    assert [f.value for f in columns["flag"].frequent] == ["yes", "no"]
    assert inspection.target.problem_type == "binary"
    assert [c.value for c in inspection.target.classes] == ["no", "yes"]
    assert sum(c.count for c in inspection.target.classes) == N


def test_statistics_of_a_regression(look):
    target = look(clean(VALUES)).target
    assert list(target.statistics) == ["mean", "std", "min", "p5", "p25", "p50", "p75", "p95", "max"]
    assert target.statistics["p50"] == pytest.approx(np.median(VALUES))
    assert target.classes == ()


@pytest.mark.parametrize("problem_type", [None, "regression"])
def test_the_problem_type_can_be_overridden(look, problem_type):
    found = look(clean(RNG.choice([1, 2, 3], N)), problem_type=problem_type).target.problem_type
    assert found == (problem_type or "multiclass")


@pytest.mark.parametrize(
    "text",
    ["2024-01-{:02}", "2024/1/{}", "2024년 1월 {}일", "2024-01-{:02}T10:00:00+09:00", "{:02}-Jan-2024"],
)
def test_dates_in_many_forms(look, text):
    (warning,) = look(clean(day=[text.format(1 + i // 20) for i in range(N)])).warnings
    assert (warning.code, warning.columns) == ("time_order", ("day",))
    assert "the date 'day'" in warning.message


def test_json_holds_it_all(look):
    content = look(clean(k=None, day=days(N)), test=OTHER).to_json()
    assert json.loads(json.dumps(content, allow_nan=False, ensure_ascii=False)) == json.loads(
        json.dumps(content)
    )


@pytest.mark.parametrize(
    ("frame", "target", "message"),
    [
        (clean(), "Y ", r"train.csv: no target column 'Y ' \(did you mean 'y'\?\)"),
        (clean(), "나이 ", r"did you mean '나이'"),
        (clean(y=1), "y", "constant"),
        (clean(y=None), "y", "all 400 rows are missing"),
        (clean(bad=[np.inf, 1.5] * (N // 2)), "y", "train.csv: column 'bad'"),
    ],
)
def test_mistakes_name_the_file(look, frame, target, message):
    with pytest.raises(DataError, match=message):
        look(frame, target=target)


def test_a_file_that_is_not_there():
    with pytest.raises(DataLoadError, match="no such file"):
        inspect_table(DataConfig(source="gone.csv", target="y"))


def test_many_classes_and_a_very_rare_one(look):
    y = [f"class {i % 60}" for i in range(N - 1)] + ["once"]
    assert "rare_classes" in codes(
        look(clean(y, code=[int(v.split()[-1]) if v != "once" else 99 for v in y]))
    )


ODD_BUT_RIGHT = {
    "grades": RNG.choice([-1, 0, 1], N),
    "both signs": RNG.integers(-400, 400, N),
    "an age of 99": np.where(np.arange(N) % 50, RNG.integers(18, 99, N), 99),
    "one typing error": np.where(np.arange(N) == 3, 9999, RNG.integers(0, 500, N)),
    "salaries": np.exp(RNG.normal(10, 1, N)).round(),
    "flag": np.arange(N) % 2,
    "code": RNG.integers(1, 40, N),
    "amounts of 9": np.where(np.arange(N) % 50, RNG.integers(0, 20_000, N), 9999),
    "countdown": RNG.integers(-1, 3, N),
}


@pytest.mark.parametrize("name", ODD_BUT_RIGHT)
def test_what_is_right_is_not_told_of(look, name):
    assert look(clean(**{name: ODD_BUT_RIGHT[name]})).warnings == ()


def test_what_divides_the_rows_is_not_advised_away(look):
    groups = [f"customer {k}" for k in RNG.integers(0, 150, N)]
    frame = drifting().assign(customer=groups, day=days(N))
    found = codes(look(frame, group="customer", ignore=["day"]))
    assert "high_cardinality" not in found
    assert "left_out" not in found
    assert "time_order" in codes(look(frame, group="customer"))
    told = look(frame, time="day", split="time", ignore=["customer"])
    assert codes(told) == []


def test_an_id_in_order_of_time_is_told_of_once(look):
    key = np.cumsum(RNG.integers(1, 9, N))
    inspection = look(clean(order_no=key))
    (warning,) = inspection.warnings
    assert (warning.code, warning.columns) == ("time_order", ("order_no",))
    assert "another number in nearly every row" in warning.message
    assert (
        "data.time=order_no; if it only names the row, leave out with 'data.ignore=[order_no]'"
        in warning.message
    )


def test_numbers_with_marks_are_what_they_mean(look):
    frame = clean(
        share=[f"0,{k % 90 + 10}" for k in range(N)],
        price=[f"${k * 7 % 990 + 10}.50" for k in range(N)],
        amount=np.where(np.arange(N) % 2, "1,5", "15"),
    )
    columns = {column.name: column for column in look(frame).columns}
    assert (columns["share"].low, columns["share"].high) == (0.1, 0.99)
    assert (columns["price"].low, columns["price"].high) == (10.5, 997.5)
    twins = pd.DataFrame({"a": ["1,5", "15", "2,5", "25"] * 50, "y": ["x", "x", "z", "z"] * 50})
    found = {w.code: w.message for w in look(twins).warnings}
    assert found["duplicate_rows"].startswith("196 of 200 rows")


def test_many_columns_to_leave_out_do_not_fill_the_screen(look):
    wide = clean().assign(**{f"k{k}": np.where(np.arange(N) % 200, 7, k) for k in range(60)})
    (warning,) = [w for w in look(wide).warnings if w.code == "near_constant"]
    assert "data.ignore=[...], the 59 names" in warning.message
    assert len(warning.columns) == 59

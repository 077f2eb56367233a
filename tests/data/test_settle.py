"""How cells are written is settled once, and a later cell is read so, refused, or missing; never otherwise."""

import numpy as np
import pandas as pd
import pytest

from configs.schema import DataConfig
from data.cell_format import CellFormat, read_column
from data.dataset import load_dataset
from data.encoder import Encoder
from data.features import infer_features
from data.format_examples import parse_example
from data.settle import settle_table
from errors import ConfigError, DataError

N = 60


def text_frame(**columns):
    return pd.DataFrame(columns).astype("str")


def settled(frame, **options):
    return settle_table(frame, options.pop("kinds", {}), options.pop("formats", {}), **options)


def spread(*values):
    return [values[k % len(values)] for k in range(N)]


def test_a_later_file_is_read_as_the_training_column_was():
    train = text_frame(p=spread("0,7", "1.234,5", "3"), y=spread("a", "b"))
    encoder = Encoder.fit(train, infer_features(train, "y"))
    later = text_frame(p=["4.321", "7", "1.234.567,5"])
    assert encoder.transform(later)[:, 0].tolist() == [4321, 7, 1234567.5]
    assert encoder.encode({"p": "4.321"}).tolist() == [4321]
    assert encoder.encode({"p": 4.321}).tolist() == [np.float32(4.321)]
    with pytest.raises(DataError, match=r"column 'p', data row 2: '1,234\.5' is not a number as the others"):
        encoder.transform(text_frame(p=["1", "1,234.5"]))
    X = encoder.transform(text_frame(p=["1", "1,234.5"]), "missing")
    assert X[0, 0] == 1
    assert np.isnan(X[1, 0])
    with pytest.raises(DataError, match=r"column 'p': '1,234\.5' is not a number"):
        encoder.encode({"p": "1,234.5"})


def test_one_column_settles_the_mark_of_the_others():
    frame = text_frame(
        a=spread("0,7", "1,25"), b=spread("1.234", "2.500"), c=spread("1,5", "2,5"), d=spread("1", "2")
    )
    found = settled(frame)
    assert found.frame["b"].tolist()[:2] == [1234, 2500]
    assert found.frame["c"].tolist()[:2] == [1.5, 2.5]
    assert "data.formats" in found.notes["b"]
    with pytest.raises(DataError):
        read_column(text_frame(d=["1.5"])["d"], found.formats["d"], "error")


def test_where_columns_differ_none_settles_the_others():
    frame = text_frame(a=spread("0,7", "1,25"), b=spread("0.5", "2.25"), c=spread("1.234", "2"))
    assert settled(frame).frame["c"].tolist()[:2] == [1.234, 2]


@pytest.mark.parametrize(
    ("values", "dtype", "found"),
    [
        (spread("1", "2", "30"), "int64", [1, 2, 30]),
        (spread("1", "2", None), "float64", [1, 2, np.nan]),
        (spread("1.5", "NA", " 2 "), "float64", [1.5, np.nan, 2]),
        (spread("1e3", "2"), "float64", [1000, 2]),
        (spread("9007199254740993", "2"), "int64", [9007199254740993, 2]),
        (spread("01", "02", "A3"), "str", ["01", "02", "A3"]),
        (spread("01", "02"), "str", ["01", "02"]),
        (spread("12345678901234567890", "2"), "str", ["12345678901234567890", "2"]),
        (spread("true", "false"), "str", ["true", "false"]),
        (spread("$1,200", "$5.50"), "float64", [1200, 5.5]),
        (
            spread("31.12.2024", "1.1.2025"),
            "datetime64[us]",
            [pd.Timestamp(2024, 12, 31), pd.Timestamp(2025, 1, 1)],
        ),
    ],
)
def test_what_becomes_of_a_column_of_texts(values, dtype, found):
    series = settled(pd.DataFrame({"x": pd.Series(values, dtype="str")})).frame["x"]
    assert str(series.dtype) == dtype
    expected = pd.Series([found[k % len(found)] for k in range(N)], dtype=series.dtype, name="x")
    pd.testing.assert_series_equal(series, expected)


def test_texts_that_say_something_are_no_missing_numbers():
    often = [str(k) for k in range(40)] + ["5+"] * 20
    found = settled(pd.DataFrame({"x": pd.Series(often, dtype="str")}))
    assert str(found.frame["x"].dtype) == "str"
    assert found.notes["x"] == "all numbers but for '5+'"
    rare = [str(k) for k in range(59)] + ["<20"]
    found = settled(pd.DataFrame({"x": pd.Series(rare, dtype="str")}))
    assert found.frame["x"].isna().sum() == 1
    assert "'<20' read as missing (1 row: 60)" in found.notes["x"]


@pytest.mark.parametrize(
    ("example", "cells", "found"),
    [
        ("1.234,5", ["1,234", "4.321"], [1.234, 4321]),
        ("0,5", ["1,234", "4.321"], [1.234, 4321]),
        ("1,234.5", ["1,234", "4.321"], [1234, 4.321]),
        ("0.5", ["1,234", "4.321"], [1234, 4.321]),
        ("12 %", ["1%", "7"], [1, 7]),
        ("31/12/2024", ["01/02/2024"], [pd.Timestamp(2024, 2, 1)]),
        ("12/31/2024", ["01/02/2024"], [pd.Timestamp(2024, 1, 2)]),
        ("dd.mm.yyyy", ["01.02.2024"], [pd.Timestamp(2024, 2, 1)]),
        ("%m/%d/%Y", ["01/02/2024"], [pd.Timestamp(2024, 1, 2)]),
        ("20241231", ["20240201"], [pd.Timestamp(2024, 2, 1)]),
        ("epoch_s", ["1706659200"], [pd.Timestamp(2024, 1, 31)]),
        ("text", ["1,5", "2"], ["1,5", "2"]),
    ],
)
def test_an_example_says_how_a_column_is_written(example, cells, found):
    frame = settled(pd.DataFrame({"x": pd.Series(cells * 2, dtype="str")}), formats={"x": example}).frame
    assert frame["x"].tolist() == found * 2


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        ("1,234", "two ways"),
        ("01/02/2024", "day or the month first"),
        ("hello", "no example"),
        ("", "no example"),
        ("ddmmm", "no order"),
    ],
)
def test_an_example_that_says_nothing_is_refused(example, reason):
    with pytest.raises(ConfigError, match=f"data.formats: column 'x'.*{reason}"):
        parse_example("x", example)


def test_a_format_of_no_column_is_refused():
    with pytest.raises(DataError, match=r"data\.formats: no column 'prise' \(did you mean 'price'\?\)"):
        settled(text_frame(price=spread("1")), formats={"prise": "0,5"})


def test_what_contradicts_what_was_asked_for_is_an_error_or_missing():
    frame = text_frame(x=[*spread("1,5", "2,25"), "1.2.3"])
    with pytest.raises(DataError, match=r"column 'x', data row 61: '1\.2\.3'"):
        settled(frame, formats={"x": "0,5"})
    found = settled(frame, formats={"x": "0,5"}, unreadable="missing")
    assert found.frame["x"].isna().sum() == 1
    assert "1 cells" in found.notes["x"]


def test_csv_json_and_parquet_agree(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "zip": [f"{n:05d}" for n in rng.integers(0, 99_999, 200)],
            "plz": [str(n) for n in rng.integers(10_000, 99_999, 200)],
            "amount": [f"{n:.2f}".replace(".", ",") for n in rng.uniform(0, 50, 200)],
            "day": [
                f"{d}.{m}.2024"
                for d, m in zip(rng.integers(1, 28, 200), rng.integers(1, 12, 200), strict=True)
            ],
            "y": rng.choice(["01", "1"], 200),
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";")
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.json", orient="records")
    made = [
        load_dataset(DataConfig(source=str(tmp_path / f"t.{suffix}"), target="y"))
        for suffix in ("csv", "json", "parquet")
    ]
    for other in made[1:]:
        assert [(s.name, s.kind) for s in other.specs] == [(s.name, s.kind) for s in made[0].specs]
        assert other.X.tobytes() == made[0].X.tobytes()
        assert other.target == made[0].target
    assert made[0].target.classes == ("01", "1")


def test_formats_survive_json():
    frame = text_frame(p=spread("1.234,5 €", "3 €"), d=spread("31.12.2024", "1.1.2024"), y=spread("a", "b"))
    encoder = Encoder.fit(frame, infer_features(frame, "y"))
    assert Encoder.from_json(encoder.to_json()) == encoder


def test_a_million_cells_are_settled_by_their_column_alone():
    rng = np.random.default_rng(0)
    values = pd.Series(rng.normal(size=100_000).round(5)).astype("str")
    quick = settled(pd.DataFrame({"x": values}))
    assert quick.formats["x"] == CellFormat(quick.formats["x"].numbers, sure=True)
    assert quick.frame["x"].tolist() == [float(value) for value in values]


def test_german_thousands_beside_small_numbers_are_no_decimals():
    cells = [str(n) if n < 1000 else f"{n // 1000}.{n % 1000:03d}" for n in range(700, 64_000, 311)]
    found = settled(pd.DataFrame({"x": pd.Series(cells, dtype="str")}))
    assert found.frame["x"].tolist()[:3] == [700, 1011, 1322]
    assert "data.formats" in found.notes["x"]


def test_ids_stay_apart_beyond_what_floats_hold():
    cells = spread("9007199254740992", "9007199254740993", "9007199254740994")
    frame = text_frame(x=cells, y=spread("a", "b"))
    encoder = Encoder.fit(frame, infer_features(frame, "y", kinds={"x": "categorical"}))
    assert encoder.columns[0].categories == tuple(sorted(set(cells)))
    assert encoder.encode({"x": 9007199254740993}).tolist() == [1]
    assert encoder.encode({"x": "9007199254740993"}).tolist() == [1]


@pytest.mark.parametrize("cell", ["07", "+7", "7e0", "\u0667", "7.5"])
def test_another_name_of_a_number_is_another_category(cell):
    frame = text_frame(x=spread("7", "8", "9"), y=spread("a", "b"))
    encoder = Encoder.fit(frame, infer_features(frame, "y", kinds={"x": "categorical"}))
    assert np.isnan(encoder.encode({"x": cell})[0])
    assert encoder.encode({"x": "7.0"}).tolist() == encoder.encode({"x": 7}).tolist() == [0]


def test_whole_numbers_with_holes_are_whole_numbers():
    frame = text_frame(x=spread("1.0", "2.0", "3.0"), y=spread("a", "b"))
    encoder = Encoder.fit(frame, infer_features(frame, "y", kinds={"x": "categorical"}))
    assert encoder.columns[0].categories == ("1", "2", "3")
    assert encoder.encode({"x": "2"}).tolist() == encoder.encode({"x": 2.0}).tolist() == [1]


@pytest.mark.parametrize(
    "cells",
    [
        [f"{k}.{k}K" for k in range(1, 60)],
        [f"192.168.1{k:02d}.100" for k in range(60)],
        [f"+49170{k:06d}" for k in range(60)],
        [f"555 100 {k:03d}" for k in range(60)],
    ],
)
def test_what_looks_like_numbers_and_is_none(cells):
    assert str(settled(pd.DataFrame({"x": pd.Series(cells, dtype="str")})).frame["x"].dtype) == "str"


def test_numbers_may_be_asked_to_stay_text():
    frame = pd.DataFrame({"zip": [10115, 20095] * 30})
    assert settled(frame, formats={"zip": "text"}).frame["zip"].tolist()[:2] == ["10115", "20095"]


@pytest.mark.parametrize("unit", ["kg", "%", "e", "EUR"])
def test_a_file_and_a_record_read_alike(unit):
    numbers = [f"{k / 4:.2f} {unit}" for k in range(1, 60)]
    frame = text_frame(x=numbers, y=(["a", "b"] * 30)[:59])
    specs = infer_features(frame, "y", kinds={"x": "numeric"})
    encoder = Encoder.fit(frame, specs)
    for cell in (*numbers[:3], f"{unit} 5", "5", "5.", f"1.5e+01 {unit}", f"{unit}5"):
        outcomes = []
        for read in (
            lambda c: encoder.encode({"x": c})[0],
            lambda c: encoder.transform(text_frame(x=[c]))[0, 0],
        ):
            try:
                outcomes.append(float(read(cell)))
            except DataError:
                outcomes.append("refused")
        assert outcomes[0] == outcomes[1], cell

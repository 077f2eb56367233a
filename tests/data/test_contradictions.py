"""Cells that are written otherwise than their column, names of digits, and marks among labels."""

import pandas as pd
import pytest

from configs.schema import DataConfig
from data.dataset import load_dataset
from data.sources import load_table
from errors import DataError, DataLoadError


def table(path, name, cells, **more):
    columns = {name: cells, "n": range(len(cells)), **more}
    pd.DataFrame(columns).to_csv(path, index=False)
    return str(path)


def features(path, cells, **options):
    source = table(path, "x", cells, y=["a", "b"] * (len(cells) // 2))
    return load_dataset(DataConfig(source=source, target="y", **options))


@pytest.mark.parametrize(
    ("usual", "odd"),
    [("{},5", "7.5"), ("${}", "€50"), ("{}", "$5"), ("{}.25", "1.234,5"), ("{} kg", "12 lb"), ("{}%", "5 ‰")],
)
def test_another_notation_contradicts_in_training_and_later(tmp_path, usual, odd):
    cells = [usual.format(i) for i in range(300)]
    cells[7] = odd
    with pytest.raises(DataError, match=r"column 'x', data row 8: .*data row|column 'x', data row 8"):
        features(tmp_path / "t.csv", cells)
    dataset = features(tmp_path / "t.csv", cells, unreadable="missing")
    record = {"x": odd, "n": 1}
    with pytest.raises(DataError, match="is not a number as the others are written"):
        dataset.encoder.encode(record)


def test_a_word_stays_a_word_for_a_missing_number(tmp_path):
    cells = [f"{i},5" for i in range(300)]
    cells[7] = "n. b."
    dataset = features(tmp_path / "t.csv", cells)
    assert any("'n. b.' read as missing" in note for note in dataset.notes)


@pytest.mark.parametrize("names", [("1 000", "2 000"), ("1'000", "2'000"), (".5", ".7"), ("1.", "2.")])
def test_labels_and_categories_of_digits_keep_their_text(tmp_path, names):
    labels = [names[i % 2] for i in range(60)]
    source = table(tmp_path / "t.csv", "y", labels, z=[f"v{i % 3}" for i in range(60)])
    dataset = load_dataset(DataConfig(source=source, target="y"), "classification")
    assert dataset.target.classes == tuple(sorted(names))
    kept = load_dataset(DataConfig(source=source, target="z", kinds={"y": "categorical"}))
    column = next(c for c in kept.encoder.columns if c.name == "y")
    assert column.categories == tuple(sorted(names))


@pytest.mark.parametrize(("labels", "mark"), [("01", "?"), ("12345", "-"), ("0123456789", "unknown")])
def test_a_mark_among_numbers_is_no_class(tmp_path, labels, mark):
    cells = [labels[i % len(labels)] for i in range(400)]
    cells[::25] = [mark] * 16
    dataset = load_dataset(DataConfig(source=table(tmp_path / "t.csv", "y", cells), target="y"))
    assert mark not in map(str, dataset.target.classes)
    assert any(f"16 rows hold '{mark}' as 'y', read as missing" in note for note in dataset.notes)
    assert dataset.n_rows == 384


def test_a_mark_among_words_is_a_class(tmp_path):
    cells = ["yes", "no", "?"] * 40
    dataset = load_dataset(DataConfig(source=table(tmp_path / "t.csv", "y", cells), target="y"))
    assert dataset.target.classes == ("?", "no", "yes")


@pytest.mark.parametrize("sign", ["£{}", "{} €", "{} °C", "{} µm", "¥{}", "{} m²"])
def test_single_signs_are_of_latin_1(tmp_path, sign):
    rows = [f"{sign.format(i)},{i % 7},{'ab'[i % 2]}" for i in range(100)]
    (tmp_path / "t.csv").write_bytes("\n".join(["price,n,y", *rows, ""]).encode("cp1252"))
    frame = load_table(str(tmp_path / "t.csv"))
    assert frame["price"][3] == sign.format(3)
    assert any("CP1252" in note for note in frame.attrs["notes"])


def test_a_text_that_ends_within_a_letter_is_damaged(tmp_path):
    (tmp_path / "t.csv").write_bytes("a,b\nx,é\ny,é".encode()[:-1])
    with pytest.raises(DataLoadError, match="is not UTF-8, which the rest is"):
        load_table(str(tmp_path / "t.csv"))


@pytest.mark.parametrize("row", ["{},bob{},3,15", "{},2,Street 1, City", "x{},1,2,3"])
def test_rows_of_one_cell_more_are_an_error(tmp_path, row):
    lines = [row.replace("{}", str(i)) for i in range(1, 41)]
    (tmp_path / "t.csv").write_text("\n".join(["id,name,price", *lines]) + "\n")
    with pytest.raises(DataLoadError, match="line 2"):
        load_table(str(tmp_path / "t.csv"))


def test_names_of_rows_as_r_writes_them_are_left_out(tmp_path):
    (tmp_path / "t.csv").write_text('"a","b"\n' + "".join(f'"r{i}",{i},{i * 2}\n' for i in range(30)))
    frame = load_table(str(tmp_path / "t.csv"))
    assert list(frame.columns) == ["a", "b"]
    assert frame["b"].astype(float).tolist() == [i * 2 for i in range(30)]


def test_where_all_lines_begin_as_comments_none_is_one(tmp_path):
    (tmp_path / "t.csv").write_text("#id,name\n" + "".join(f"#{i},b{i}\n" for i in range(40)))
    assert len(load_table(str(tmp_path / "t.csv"))) == 40


@pytest.mark.parametrize(
    "form",
    ["%d/%b/%Y:%H:%M:%S +0000", "%a %b %d %H:%M:%S %Y", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%SZ", "%Y%m%d%H%M"],
)
def test_times_as_logs_write_them_are_dates(tmp_path, form):
    moments = pd.date_range("2021-11-28 03:07:09", periods=120, freq="7h")
    dataset = features(tmp_path / "t.csv", [moment.strftime(form) for moment in moments])
    (spec,) = (s for s in dataset.specs if s.name == "x")
    assert spec.kind == "datetime"
    part = dataset.encoder.encode({"x": moments[5].strftime(form), "n": 5})
    assert part[0] == pytest.approx(dataset.X[5][0], abs=1e-3)


def test_numbers_that_may_be_moments_are_numbers_and_it_is_said(tmp_path):
    cells = [1_639_147_744 + 86_400 * i for i in range(120)]
    dataset = features(tmp_path / "t.csv", cells)
    (spec,) = (s for s in dataset.specs if s.name == "x")
    assert spec.kind == "numeric"
    assert any("may be seconds since 1970: kind datetime reads them so" in note for note in dataset.notes)
    asked = features(tmp_path / "t.csv", cells, kinds={"x": "datetime"})
    assert next(s for s in asked.specs if s.name == "x").kind == "datetime"


def test_what_is_ambiguous_in_a_target_is_said_and_settled(tmp_path):
    cells = [f"{i % 37 + 1}.{(i * 7) % 900 + 100}" for i in range(200)]
    source = table(tmp_path / "t.csv", "y", cells)
    dataset = load_dataset(DataConfig(source=source, target="y"))
    assert dataset.y.max() < 40
    assert any("target 'y': the mark in" in note and "data.formats" in note for note in dataset.notes)
    told = load_dataset(DataConfig(source=source, target="y", formats={"y": "1.234,5"}))
    assert told.y.max() > 10_000
    few = table(tmp_path / "few.csv", "y", ["1.234", "5.678", "2.500", "9.100"] * 20)
    told = load_dataset(DataConfig(source=few, target="y", formats={"y": "1.234,5"}))
    assert sorted(set(told.y)) == [1234.0, 2500.0, 5678.0, 9100.0]

"""Every usual way to write a date is found, read alike in columns and records, and told where it is ambiguous."""

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest

from data.date_recognition import recognise_dates
from data.dates import date_parts
from data.datetext import DateText
from data.encoder import Encoder
from data.features import infer_features

DAYS = [
    dt.datetime(2023, 1, 1) + dt.timedelta(days=37 * k % 365, hours=k % 24, minutes=7 * k % 60)
    for k in range(60)
]
DE = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
]


def named(form):
    return lambda t: form.format(t=t, de=DE[t.month - 1])


FORMS = {
    "ymd": [
        named("{t:%Y-%m-%d}"),
        named("{t:%Y/%m/%d}"),
        named("{t:%Y.%m.%d}"),
        named("{t:%Y-%m-%dT%H:%M:%SZ}"),
    ],
    "dmy": [
        named("{t:%d.%m.%Y}"),
        named("{t:%d/%m/%y}"),
        named("{t.day}.{t.month}.{t.year}"),
        named("{t:%d-%m-%Y %H:%M}"),
    ],
    "mdy": [named("{t:%m/%d/%Y}"), named("{t:%m/%d/%Y %I:%M %p}"), named("{t.month}/{t.day}/{t:%y}")],
    "compact": [named("{t:%Y%m%d}")],
    "d_month_y": [
        named("{t:%d %b %Y}"),
        named("{t:%d-%b-%Y}"),
        named("{t.day}. {de} {t.year}"),
        named("{t:%a, %d %b %Y %H:%M:%S GMT}"),
    ],
    "month_d_y": [named("{t:%B %d, %Y}"), named("{t:%b %d %Y}")],
    "cjk": [named("{t.year}년 {t.month}월 {t.day}일"), named("{t.year}年{t.month}月{t.day}日")],
    "ym": [named("{t:%Y-%m}")],
    "my": [named("{t:%m/%Y}")],
    "month_y": [named("{t:%b %Y}"), named("{de} {t.year}")],
    "quarter": [lambda t: f"{t.year}Q{(t.month + 2) // 3}"],
}


def truth(form, text, moment):
    """The moment without what the text does not say."""
    if form in ("ym", "my", "month_y"):
        return moment.replace(day=1, hour=0, minute=0)
    if form == "quarter":
        return moment.replace(month=3 * ((moment.month - 1) // 3) + 1, day=1, hour=0, minute=0)
    return moment if ":" in text else moment.replace(hour=0, minute=0)


@pytest.mark.parametrize(
    ("form", "write"), [(form, write) for form, writers in FORMS.items() for write in writers]
)
def test_a_usual_form_is_found_and_read(form, write):
    texts = [write(day) for day in DAYS]
    frame = pd.DataFrame({"opened": texts, "y": range(len(texts))})
    (spec,) = infer_features(frame, "y")
    assert (spec.kind, spec.dates.forms) == ("datetime", (form,))
    encoder = Encoder.fit(frame, [spec])
    X = encoder.transform(frame)
    days = [date_parts(truth(form, text, day))[0] for text, day in zip(texts, DAYS, strict=True)]
    column = encoder.columns[0]
    np.testing.assert_allclose(column.raw(frame["opened"])[:, 0], days, rtol=1e-12)
    assert X.tobytes() == np.stack([encoder.encode({"opened": text}) for text in texts]).tobytes()


@pytest.mark.parametrize(
    ("per_second", "form"), [(1, "epoch_s"), (1_000, "epoch_ms"), (1_000_000, "epoch_us")]
)
@pytest.mark.parametrize("as_text", [True, False])
def test_epochs_are_found_by_the_name_of_their_column(per_second, form, as_text):
    numbers = [int(day.replace(tzinfo=dt.UTC).timestamp()) * per_second for day in DAYS]
    values = [str(n) for n in numbers] if as_text else numbers
    assert recognise_dates(values, "created_at").text == DateText((form,))
    assert recognise_dates(values, "amount").text is None
    assert recognise_dates(values, "amount", asked=True).text == DateText((form,))
    assert DateText((form,)).moment(values[0]) == DAYS[0].replace(second=0)


@pytest.mark.parametrize(
    ("values", "form", "said"),
    [
        (["01/02/2024", "03/04/2024"], "mdy", "taken for month first"),
        (["01.02.2024", "03.04.2024"], "dmy", "taken for day first"),
        (["01/02/2024", "13/04/2024"], "dmy", ""),
        (["01/02/2024", "03/14/2024"], "mdy", ""),
    ],
)
def test_the_order_is_settled_by_the_whole_column_or_said(values, form, said):
    found = recognise_dates(values, "x")
    assert found.text.forms == (form,)
    assert ("data.formats" in found.note) == bool(said)
    assert said in found.note


def test_two_orders_are_no_order():
    found = recognise_dates(["13/01/2024", "01/13/2024", "14/01/2024", "01/14/2024"], "x")
    assert found.text is None
    assert "the day first and with the month first" in found.note


def test_mixed_forms_and_odd_words_are_named():
    found = recognise_dates(
        [*(f"2024-01-{d:02d}" for d in range(1, 29)), *(f"{d}/01/2024" for d in range(10, 29)), "unknown"],
        "x",
    )
    assert set(found.text.forms) == {"ymd", "dmy"}
    assert found.text.words == ("unknown",)
    assert "several forms" in found.note
    assert "'unknown' read as missing" in found.note


@pytest.mark.parametrize(
    "values",
    [
        ["1.10.12", "1.9.3", "2.0.1"],
        ["12.5", "13.5", "2024.01"],
        ["May", "June"],
        ["12:30", "13:45"],
        ["192.168.1.12", "10.0.0.11"],
        ["1/2", "3/4"],
        ["2024", "2023"],
        ["A 12 2024", "B 13 2024"],
        ["12345678", "99999999"],
        ["x" * 10_000, "2024-01-01"],
    ],
)
def test_what_is_no_date(values):
    assert recognise_dates(values, "x").text is None


@pytest.mark.parametrize(
    "text", ["2024-02-30", "31.04.2024", "01/31/2024 25:00", "nothing", "2024-01-31 5", "1e400", "9" * 500]
)
@pytest.mark.parametrize("form", ["ymd", "dmy", "mdy", "compact", "epoch_s"])
def test_no_such_day_is_refused_and_never_another(text, form):
    with pytest.raises(ValueError, match="is not a date as the others are written"):
        DateText((form,)).moment(text)
    assert DateText((form,)).read_all([text])[1].tolist() == [True]


def test_a_date_in_another_order_is_refused_but_iso_is_read():
    style = DateText(("dmy",), ("unknown",))
    with pytest.raises(ValueError, match=r"like 31\.01\.2024"):
        style.moment("12/31/2024")
    assert style.moment("2024-12-31") == dt.datetime(2024, 12, 31)
    assert style.moment("unknown") is None
    assert style.moment("") is None
    assert style.moment(math.nan) is None


def test_a_year_of_two_digits_may_come_first():
    texts = [f"{day:%y-%m-%d}" for day in DAYS] + [f"{day.replace(year=2024):%y-%m-%d}" for day in DAYS]
    found = recognise_dates(texts, "x")
    assert found.text.forms == ("yymd",)
    assert found.text.moment("23-01-31") == dt.datetime(2023, 1, 31)
    assert "data.formats" in found.note


def test_centuries_of_two_digits_are_told():
    found = recognise_dates(
        [f"{1 + k % 28:02d}.{1 + k % 12:02d}.{45 + k % 50:02d}" for k in range(90)], "born"
    )
    assert "two digits of a year are read as 1969 to 2068" in found.note


def test_seconds_among_milliseconds_are_refused():
    for number in (1706659200, "1706659200", 0):
        with pytest.raises(ValueError, match="is not a date as the others are written, like 1706659200000"):
            DateText(("epoch_ms",)).moment(number)


def test_an_amount_is_no_epoch():
    values = [700_000_000 + 13_000_000 * k for k in range(50)]
    assert recognise_dates(values, "balance_at_end").text is None
    assert recognise_dates(values, "last_seen_at").text.forms == ("epoch_s",)

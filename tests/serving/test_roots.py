"""Which tables training may read."""

import pytest

from errors import DataLoadError
from serving.roots import Roots


def test_roots(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "t.csv").write_text("a\n")
    (inside / "link.csv").symlink_to(outside / "t.csv")
    (inside / "here.csv").symlink_to(inside / "t.csv")
    roots = Roots([str(inside), "s3://bucket/tables", "redis:"], tmp_path / "uploads")
    for allowed in ("t.csv", str(inside / "t.csv"), "here.csv"):
        assert roots.source(allowed) == str(inside / "t.csv")
    for allowed in ("s3://bucket/tables/a.csv", "redis:churn"):
        assert roots.source(allowed) == allowed
    refused = ("link.csv", "../out/t.csv", str(outside / "t.csv"), str(tmp_path / "in2"), str(inside))
    remote = (
        "s3://bucket/tables/a.csv?endpoint_override=http://evil",
        "s3://bucket/tables/a.csv?region=x&endpoint%5Foverride=http://evil",
        "s3://bucket/tables2/a.csv",
        "s3://bucket/tables/../x.csv",
        "gs://bucket/tables/a.csv",
    )
    for asked in (*refused, *remote):
        with pytest.raises(DataLoadError):
            roots.source(asked)
    with pytest.raises(DataLoadError) as caught:
        roots.source("s3://me:hunter2@host/x.csv")
    assert "hunter2" not in str(caught.value)


def test_a_path_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(DataLoadError, match="outside of what is allowed"):
        Roots((str(tmp_path),), tmp_path / "uploads").source("0" * 5000)


def refused(roots, asked):
    with pytest.raises(DataLoadError) as caught:
        roots.source(asked)
    return str(caught.value)


def test_sheets_archives_and_patterns_lie_in_the_roots_too(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside, inside / "sub", outside / "sub"):
        folder.mkdir()
    for folder in (inside, outside):
        for name in ("book.xlsx", "t.zip", "part-1.csv", "part-2.csv"):
            (folder / name).write_text("a\n")
    (inside / "odd[1].csv").write_text("a\n")
    (inside / "away").symlink_to(outside)
    (inside / "mixed-1.csv").write_text("a\n")
    (inside / "mixed-2.csv").symlink_to(outside / "part-2.csv")
    roots = Roots([str(inside)], tmp_path / "uploads")
    for asked in ("book.xlsx#Sheet 2", "t.zip#folder/a.csv", "part-*.csv", "odd[1].csv", "sub/../part-*.csv"):
        assert roots.source(asked) == str(inside / asked.removeprefix("sub/../"))
    assert "no standard input" in refused(roots, "-")
    for asked in (
        "../out/book.xlsx#Sheet1",
        f"{outside}/t.zip#a.csv",
        "away/t.zip#a.csv",
        "away/part-*.csv",
        "../out/part-*.csv",
        f"{outside}/part-*.csv",
        "mixed-*.csv",
        "*/part-*.csv",
        "**/part-*.csv",
        "*/../../out/part-1.csv",
        "t.zip#/../../out/part-1.csv",
        "t.csv#x",
        "part-*.csv#x",
        "nothing-*.csv",
        "sub",
        ".",
        "https://host/t.csv",
        "file:///etc/passwd",
    ):
        refused(roots, asked)


def test_a_sheet_of_an_upload(tmp_path):
    folder = tmp_path / "uploads" / ("0" * 16)
    folder.mkdir(parents=True)
    (folder / "book.xlsx").write_text("a\n")
    roots = Roots([], tmp_path / "uploads")
    asked = f"upload:{'0' * 16}/book.xlsx#Sheet2"
    assert roots.source(asked) == f"{folder}/book.xlsx#Sheet2"
    refused(roots, f"upload:{'0' * 16}/../../x.xlsx#Sheet2")


def test_addresses_of_the_web_begin_as_a_root_does(tmp_path):
    roots = Roots(["https://host/tables"], tmp_path / "uploads")
    assert roots.source("https://host/tables/a.csv") == "https://host/tables/a.csv"
    for asked in (
        "https://host/tables/../x.csv",
        "https://host/tables/%2e%2e/x.csv",
        "https://host/tables/%252e%252e/x.csv",
        "https://host/tables2/x.csv",
        "https://host/tables@evil/x.csv",
        "https://evil/tables/x.csv",
        "http://host/tables/x.csv",
        "https://host/tables/..\\x.csv",
    ):
        refused(roots, asked)

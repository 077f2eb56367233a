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
    remote = ("s3://bucket/tables2/a.csv", "s3://bucket/tables/../x.csv", "gs://bucket/tables/a.csv")
    for asked in (*refused, *remote):
        with pytest.raises(DataLoadError):
            roots.source(asked)
    with pytest.raises(DataLoadError) as caught:
        roots.source("s3://me:hunter2@host/x.csv")
    assert "hunter2" not in str(caught.value)


def test_a_path_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(DataLoadError, match="outside of what is allowed"):
        Roots((str(tmp_path),), tmp_path / "uploads").source("0" * 5000)

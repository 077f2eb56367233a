"""Runs that ended before they had begun, and what is found out before a search that would be lost after it."""

import errno
import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

import cli
from ensembles.registry import check_registry
from errors import ConfigError, DiskFullError
from tests.conftest import tabularay
from tuning.runs import Run, find_run
from tuning.watch import RunWatch

GIVEN = ("data.source=t.csv", "data.target=y", "families=[lightgbm]", "search.num_trials=1", "tracking=none")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("early")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    frame["y"] = np.where(frame["a"] + rng.normal(size=200) > 0, "yes", "no")
    frame.to_csv(folder / "t.csv", index=False)
    tabularay("tune", *GIVEN, "params.lightgbm.num_boost_round=10", cwd=folder)
    return folder


def whole(folder):
    """The run that was not disturbed."""
    return Run(min((folder / "runs").iterdir()))


def cut(folder, name, *gone):
    """A copy of the run from which some files are missing, as if it had ended before they were there."""
    source = whole(folder).path
    shutil.copytree(source, folder / "cut" / name, dirs_exist_ok=True)
    run = Run(folder / "cut" / name)
    for each in ("result.json", *gone):
        path = run.path / each
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return run


EVERYTHING = ("events.jsonl", "study.log", "dataset", "bundle", "trials", "findings.json", "refit")


@pytest.mark.parametrize(
    "gone",
    [EVERYTHING, ("events.jsonl", "study.log", "bundle", "trials"), ("study.log", "bundle"), ("bundle",)],
    ids=["before the table", "before the first event", "before the studies", "before the bundle"],
)
def test_a_run_is_resumed_from_whatever_it_had(finished, gone):
    run = cut(finished, f"run{len(gone)}", *gone)
    if gone == EVERYTHING or "trials" in gone:
        run.trials.mkdir()
    done = tabularay("tune", "--resume", run.path, "--json", cwd=finished)
    assert json.loads(done.stdout)["n_trials"] == 1
    events = [json.loads(line)["event"] for line in run.events.read_text().splitlines()]
    assert events.count("sweep") == 1
    assert "summary" in events


def test_half_a_result_is_none(finished):
    run = cut(finished, "half")
    run.result.write_text('{"model_id": "x:1", "sco')
    assert not run.is_finished()
    run.result.write_text('{"model_id": "x:1"}')
    assert run.is_finished()


def test_a_refusal_at_the_start_is_a_failure_and_not_a_loss(finished):
    done = tabularay("tune", *GIVEN, "cluster.address=127.0.0.1:1", cwd=finished, check=False)
    assert done.returncode == 11
    assert RunWatch(find_run("latest", finished / "runs")).state == "failed"


def test_a_registry_that_cannot_be_written_is_found_before_the_search(finished):
    (finished / "file").write_text("")
    n_runs = len(list((finished / "runs").iterdir()))
    done = tabularay("tune", *GIVEN, "registry=file/registry", cwd=finished, check=False)
    assert done.returncode == 2
    assert "registry=file/registry: cannot be written" in done.stderr
    assert len(list((finished / "runs").iterdir())) == n_runs
    check_registry(str(finished / "new" / "registry"))
    assert not (finished / "new").exists()
    with pytest.raises(ConfigError, match="cannot be written"):
        check_registry(str(finished / "file"))


def test_a_full_disk_is_one_line(monkeypatch, capsys):
    def full(_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/x/events.jsonl")

    monkeypatch.setattr(cli, "app", full)
    with pytest.raises(SystemExit) as end:
        cli.main([])
    assert end.value.code == DiskFullError.exit_code == 12
    told = capsys.readouterr().err
    assert "the disk is full (runs/x/events.jsonl)" in told.replace("\n", " ")


def test_events_cut_at_any_byte_are_mended(finished):
    run = cut(finished, "bytes")
    text = whole(finished).events.read_bytes()
    first = text.index(b"\n") + 1
    for n_bytes in [*range(0, len(text), max(1, len(text) // 300)), first - 1, first, len(text)]:
        run.events.write_bytes(text[:n_bytes])
        run.mend_events()
        assert run.events.read_bytes() == text[: text[:n_bytes].rfind(b"\n") + 1]
        assert run.has_begun() == (n_bytes >= first)
        assert run.used_s() >= 0

"""The HTML report: whole, readable, harmless and self-contained, whatever state the run is in."""

import base64
import hashlib
import json
import math
import os
import re
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
import yaml
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from data.messages import show_score
from data.metrics import get_metric
from errors import ConfigError
from models.trials import read_trials
from tests.conftest import tabularay
from tuning.htmlreport import write_report
from tuning.htmlreport.charts import n_outside, score_range, time_unit
from tuning.htmlreport.history import read_history
from tuning.htmlreport.markup import embed_json
from tuning.htmlreport.studies import build_study, importances, within
from tuning.runs import Run, find_run

HOSTILE = "</script><script>alert(1)</script><img src=http://evil.example/x>\u2028'\"&"
SECTIONS = [
    "overview",
    "data",
    "leaderboard",
    "progress",
    "parameters",
    "losses",
    "members",
    "failures",
    "timeline",
    "configuration",
]


class Page(HTMLParser):
    """A page as a browser sees it: elements, scripts, styles, visible text, rows of the leaderboard."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.scripts, self.styles, self.words, self.rows = [], [], [], [], []
        self.table = self.inside = None
        self.feed(path.read_text("utf-8"))
        self.text = " ".join(" ".join(self.words).split())
        self.figures = json.loads(self.scripts[0])

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "table":
            self.table = dict(attrs).get("id")
        if tag == "tr" and self.table == "trials":
            self.rows.append([])

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts.append(data)
        elif self.inside == "style":
            self.styles.append(data)
        else:
            self.words.append(data)
            if self.table == "trials" and self.rows:
                self.rows[-1].append(data)

    def handle_endtag(self, tag):
        self.inside = None
        if tag == "table":
            self.table = None

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture
def run(binary_job, tmp_path):
    """A finished run of its own to change."""
    shutil.copytree(binary_job.run, tmp_path / binary_job.run.name)
    return Run(tmp_path / binary_job.run.name)


def page_of(run):
    return Page(write_report(run))


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


def unfinish(run):
    """What a killed process leaves: no result, no ensemble, a trial under way, half a line."""
    run.result.unlink()
    shutil.rmtree(run.bundle)
    last = read_trials(run.trials)[-1]
    change(last.path / "trial.json", state="running", reason="")
    shutil.rmtree(last.path / "fold_2", ignore_errors=True)
    lines = run.events.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["event"] not in ("summary", "close")]
    run.events.write_text("".join(kept) + '{"event": "fold", "ti', "utf-8")
    return last


@pytest.fixture(scope="module")
def page(job):
    """The report of a run with all five families, and the ensemble it was made of: others may follow."""
    summaries = [
        json.loads(e) for e in Run(job.run).events.read_text("utf-8").splitlines() if '"summary"' in e
    ]
    page = Page(write_report(Run(job.run)))
    page.summary = summaries[-1]
    return page


def test_sections_figures_and_text(page):
    assert [a["id"] for a in page.all("section")] == SECTIONS
    assert {a["href"] for a in page.all("a")} == {f"#{key}" for key in SECTIONS}
    places = [a for a in page.all("div") if a.get("class") == "plot"]
    assert sorted(a["id"] for a in places) == sorted(page.figures)
    assert all(a["role"] == "img" and len(a["aria-label"]) > 10 for a in places)
    assert "Finished." in page.text
    assert show_score(page.summary["scores"]["oof"]) in page.text
    assert "untuned lightgbm" in page.text
    assert "config.yaml" in page.text


def test_nothing_is_loaded_from_anywhere(page):
    names = {"src", "href", "srcset", "action", "poster", "data", "background", "formaction"}
    for _, attrs in page.elements:
        assert all((attrs[n] or "").startswith("#") for n in names & attrs.keys()), attrs
    assert not {"link", "img", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    assert not re.search(r"@import|url\(", "".join(page.styles))
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy


def test_the_policy_names_exactly_the_scripts_of_the_page(page):
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in page.scripts[1:]]
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert len(page.all("script")) == 3


def test_leaderboard_has_every_trial(page, job):
    names = ["".join(row).split() for row in page.rows[1:]]
    assert len(names) == len(job.result["leaderboard"])
    for words, row in zip(names, job.result["leaderboard"], strict=True):
        assert any(row["trial"] in word for word in words)


def test_loss_curves_members_and_timeline(page, job):
    bars = [t for f in page.figures.values() for t in f["data"] if t["type"] == "bar" and "base" in t]
    folds = sum(row["folds"] for row in job.result["leaderboard"])
    assert sum(len(t["x"]) for t in bars) == folds
    assert all(x > 0 for t in bars for x in t["x"])
    for family in ("lightgbm", "dnn"):
        assert f"{family}: loss of the first fold per trial" in page.text
    members = [row for row in page.summary["leaderboard"] if row["weight"]]
    assert members
    assert all(f"{row['weight']:.3f}" in page.text for row in members)


def test_plots_of_a_family_show_its_trials(run):
    """Enough trials for importance, slices and parallel coordinates: copies of one, with other values."""
    source = next(t for t in read_trials(run.trials) if t.family == "lightgbm" and t.state == "completed")
    for i in range(100, 108):
        path = run.trials / f"{i:04d}-lightgbm"
        shutil.copytree(source.path, path)
        params = source.params | {"num_leaves": i, "learning_rate": 0.02 + (i - 100) / 100}
        change(path / "trial.json", number=i, params=params)
        change(path / "fold_0" / "fold.json", score=0.9 + (i - 100) / 200)
    page = page_of(run)
    assert "Most important: " in page.text
    found = [t for f in page.figures.values() for t in f["data"]]
    points = [t for t in found if "0107-lightgbm" in (t.get("customdata") or [])]
    n_trials = sum(t.family == "lightgbm" and math.isfinite(t.score) for t in read_trials(run.trials))
    assert len(points) == len(page_slices(page, "lightgbm")) > 5
    assert {len(t["x"]) for t in points} == {n_trials}
    lines = [t for t in found if str(t.get("line", {}).get("color", "")).startswith("$scale:")]
    assert len(lines) >= 8


def page_slices(page, family):
    return [a for a in page.all("div") if a.get("aria-label", "").startswith(f"{family}: roc_auc by ")]


def test_hostile_text_stays_text(run):
    trials = read_trials(run.trials)
    change(trials[0].path / "trial.json", reason=HOSTILE, state="failed", params={HOSTILE: HOSTILE})
    change(trials[1].path / "trial.json", family=HOSTILE)
    (trials[0].path / "error.txt").write_text(f"Traceback\n{HOSTILE}\nredis://me:s3cret@host/0\n\x1b[36mend")
    change(run.result, error=HOSTILE)
    config = yaml.safe_load((run.path / "config.yaml").read_text("utf-8"))
    config["data"] |= {"target": HOSTILE, "source": f"{HOSTILE}.csv"}
    (run.path / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    events = run.events.read_text("utf-8")
    lines = [json.loads(line) for line in events.splitlines()]
    moved = [line | {"node": HOSTILE} if "node" in line else line for line in lines]
    run.events.write_text("".join(json.dumps(line) + "\n" for line in moved), "utf-8")
    page = page_of(run)
    assert len(page.all("script")) == 3
    assert page.all("img") == []
    assert page.text.count("alert(1)") >= 6
    assert "s3cret" not in page.text
    assert "\x1b" not in page.text


def test_embedded_json_cannot_end_its_element():
    text = embed_json({"a": HOSTILE, "b": [math.nan, (math.inf, 1.5)]})
    assert "<" not in text
    assert json.loads(text) == {"a": HOSTILE, "b": [None, [None, 1.5]]}


def test_run_that_was_cut_off(run):
    last = unfinish(run)
    page = page_of(run)
    assert "Cut off" in page.text
    assert "No ensemble yet. Build it: tabularay ensemble" in page.text
    assert "1 unfinished" in page.text
    assert "1 damaged line" in page.text
    assert any(last.name in "".join(row) for row in page.rows)


def test_run_that_is_still_going(run):
    unfinish(run)
    with run.driven():
        page = page_of(run)
    assert "Still running" in page.text
    assert "1 running" in page.text


def test_interrupted_run(run):
    unfinish(run)
    run.write_result({"run": str(run.path), "interrupted": True})
    assert "Interrupted before its end." in page_of(run).text


def test_result_of_an_earlier_session_does_not_count(run):
    run.write_result({"run": str(run.path), "interrupted": True})
    os.utime(run.result, (1, 1))
    assert "Interrupted" not in page_of(run).text


def test_without_any_complete_trial(run):
    unfinish(run)
    for trial in read_trials(run.trials):
        change(trial.path / "trial.json", state="failed", reason="out of memory")
        for folder in trial.path.glob("fold_*"):
            shutil.rmtree(folder)
    page = page_of(run)
    assert [a["id"] for a in page.all("section")] == SECTIONS
    for sentence in (
        "No ensemble: no trial finished every fold.",
        "No plot:",
        "No curve:",
        "No plots: 0 scored",
    ):
        assert sentence in page.text
    assert len(page.rows) == 1 + len(read_trials(run.trials))


def test_scores_that_are_no_numbers(run):
    unfinish(run)
    for path in run.trials.glob("*/fold_*/fold.json"):
        change(path, score=math.nan)
    assert "No plot: no trial has a score" in page_of(run).text


def test_a_damaged_trial_is_named_and_left_out(run):
    trials = read_trials(run.trials)
    (trials[0].path / "trial.json").write_text("{", "utf-8")
    page = page_of(run)
    assert "not a readable trial" in page.text
    assert len(page.rows) == len(trials)


def test_runs_without_what_a_report_needs(run):
    shutil.rmtree(run.trials)
    with pytest.raises(ConfigError, match="no trials yet"):
        write_report(run)


def test_command(binary_job, tmp_path):
    found = json.loads(tabularay("report", "latest", "--json", cwd=binary_job.folder).stdout)
    assert found == {"report": str(binary_job.run / "report.html")}
    Page(binary_job.run / "report.html")
    elsewhere = tmp_path / "r.html"
    done = tabularay("report", binary_job.run, "--output", elsewhere, cwd=tmp_path)
    assert done.stdout.strip() == str(elsewhere)
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_a_report_leaves_the_run_as_it_is(run):
    def files():
        return {p: p.stat().st_mtime_ns for p in run.path.rglob("*") if p.is_file() and p.suffix != ".html"}

    before = files()
    write_report(run)
    assert files() == before


def test_a_report_of_an_old_run_does_not_make_it_the_latest(run):
    newer = run.path.parent / "newer"
    shutil.copytree(run.path, newer)
    os.utime(newer / "config.yaml", (2e9, 2e9))
    os.utime(run.path / "config.yaml", (1e9, 1e9))
    write_report(run)
    assert find_run("latest", run.path.parent).path == newer


def test_history_counts_time_across_sessions(tmp_path):
    events = [
        {"event": "sweep", "time": 1000.0, "started": 1000.0, "rows": 5, "slots": 2},
        fold_event(1010.0, 0, worker=1),
        {"event": "resume", "time": 5000.0, "started": 4985.0, "slots": 2},
        fold_event(5010.0, 1, worker=2),
        {"event": "ensemble", "time": 5011.0, "number": 0, "score": 0.9, "n_members": 2},
        {"event": "end", "time": 5012.0, "number": 0},
        {"event": "end", "time": 5013.0, "number": 9},
        {"event": "summary", "time": 9999.0},
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(map(json.dumps, events[:3])) + "\nhalf a li" + "\n", "utf-8")
    with path.open("a") as file:
        file.write("\n".join(map(json.dumps, events[3:])))
    history = read_history(path)
    assert [(s.fold, s.began_s) for s in history.spans] == [(0, 8.0), (1, 23.0)]
    assert history.scored_s == {0: 27.0}
    assert [(e.at_s, e.score) for e in history.ensembles] == [(26.0, 0.9)]
    assert (history.used_s, history.n_sessions, history.n_damaged) == (28.0, 2, 1)
    assert history.facts["rows"] == 5


def fold_event(at, fold, worker):
    where = {"began": at - 2, "worker": worker, "node": "n", "total_s": 2.0}
    return {"event": "fold", "time": at, "number": 0, "fold": fold, "fold_score": 0.8} | where


def test_a_few_bad_scores_do_not_flatten_the_axis():
    good = [0.40, 0.41, 0.42, 0.43, 0.44, 0.45]
    assert score_range(good, "min") is None
    shown = score_range([*good, 9.0, math.nan], "min")
    assert shown[0] < 0.40
    assert 0.45 < shown[1] < 1
    assert n_outside([*good, 9.0, math.nan], shown) == 1
    low, high = score_range([-g for g in [*good, 9.0]], "max")
    assert (low, high) == pytest.approx((-shown[1], -shown[0]), rel=0.2)
    assert score_range([math.nan], "min") is None
    assert score_range([0.5] * 8 + [3.0], "min") is None


def test_time_units():
    assert [time_unit(s)[1] for s in (20, 299, 301, 17_000, 18_001)] == ["s", "s", "min", "min", "h"]


SPACE = {
    "lr": FloatDistribution(1e-3, 1.0, log=True),
    "depth": IntDistribution(1, 8),
    "kind": CategoricalDistribution(("a", "b")),
    "only": IntDistribution(3, 3),
}


def stored(number, score, state="completed", **params):
    return SimpleNamespace(number=number, score=score, state=state, params=params)


def test_study_holds_scored_trials_of_the_space():
    trials = [
        stored(0, 0.5, lr=0.1, depth=2, kind="a", only=3, fixed=1),
        stored(1, 0.6, state="stopped", lr=0.2, depth=3, kind="b", only=3),
        stored(2, 0.7, lr=7.0, depth=3, kind="b", only=3),
        stored(3, 0.7, lr=0.1, depth="deep", kind="b", only=3),
        stored(4, 0.7, lr=0.1, depth=3, kind="c", only=3),
        stored(5, 0.7, state="failed", lr=0.1, depth=3, kind="b", only=3),
        stored(6, math.nan, lr=0.1, depth=3, kind="b", only=3),
        stored(7, 0.8, lr=0.1),
    ]
    family = build_study(trials, SPACE, get_metric("roc_auc", "binary"))
    assert [t.number for t in family.trials] == [0, 1, 7]
    assert family.n_outside == 3
    assert family.searched == ("lr", "depth", "kind")
    assert family.study.best_value == 0.8


def test_importance_finds_the_parameter_that_matters():
    trials = [
        stored(i, 1 + i / 24, lr=0.001 * 1.3**i, depth=1 + i * 5 % 8, kind="ab"[i // 2 % 2])
        for i in range(24)
    ]
    trials.append(stored(24, 1e6, lr=0.002, depth=1, kind="a"))
    family = build_study(trials, SPACE, get_metric("rmse", "regression"))
    shown = score_range((t.score for t in trials), "min")
    shares = importances(family, shown)
    assert next(iter(shares)) == "lr"
    assert sum(shares.values()) == pytest.approx(1)
    near = within(family, shown)
    assert [t.number for t in near.trials] == list(range(24))
    assert len(near.study.trials) == len(near.trials)

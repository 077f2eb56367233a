"""The commands `models ...` on a registry with two versions of a small real model."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cli import app, main
from ensembles.registry import Registry
from tests.quick import quick_model

COMMANDS = ("list", "show", "compare", "promote", "rollback", "history", "delete", "verify", "importance")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table, and a registry with a model that ignores the best column (quick:1) and one that knows it (quick:2)."""
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300)})
    frame["y"] = np.where(frame["a"] + 0.2 * frame["b"] > 0, "yes", "no")
    frame.to_csv(folder / "table.csv", index=False)
    quick_model(folder, folder / "table.csv", kinds={"a": "ignore"})
    shutil.rmtree(folder / "run")
    quick_model(folder, folder / "table.csv")
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("TABULARAY_REGISTRY", "REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(folder, capsys):
    """Run a command that must end well; returns what it printed."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        printed = capsys.readouterr()
        assert end.value.code == 0, printed.err
        return printed.out

    return call


@pytest.fixture
def refuse(folder, capsys):
    def call(*arguments, code, expected):
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        message = capsys.readouterr().err
        assert (end.value.code, "Traceback" in message) == (code, False), message
        assert expected in message

    return call


def aliases(run):
    return {row["model_id"]: row["aliases"] for row in json.loads(run("models", "--json"))}


def test_the_list_is_what_is_registered(run):
    assert aliases(run) == {"quick:1": [], "quick:2": ["production"]}
    assert json.loads(run("models", "list", "quick", "--json")) == json.loads(run("models", "--json"))
    shown = run("models")
    assert all(text in shown for text in ("quick:1", "quick:2", "production", "log_loss"))
    assert "No models in nowhere. Make one" in run("models", "--registry", "nowhere")


def test_promote_rollback_history_and_delete(run, refuse):
    assert "quick@candidate is now quick:1" in run("models", "promote", "quick:1", "--alias", "candidate")
    promoted = run("models", "promote", "quick@candidate", "--why", "b [alone] is enough", "--json")
    assert json.loads(promoted) == {"model_id": "quick:1", "aliases": ["candidate", "production"]}
    assert "quick@production is now quick:2" in run("models", "rollback", "quick", "--why", "it is not")
    assert aliases(run) == {"quick:1": ["candidate"], "quick:2": ["production"]}
    events = json.loads(run("models", "history", "quick", "--json"))
    assert [e["action"] for e in events] == ["register", "register", "promote", "promote", "rollback"]
    assert [e["why"] for e in events[3:]] == ["b [alone] is enough", "it is not"]
    shown = run("models", "history", "quick")
    assert all(text in shown for text in ("b [alone] is enough", "registered quick:1", "rolled back"))
    refuse("models", "delete", "quick:1", code=2, expected="candidate points at it")
    assert json.loads(run("models", "delete", "quick:1", "--force", "--json")) == {
        "deleted": "quick:1",
        "aliases": ["candidate"],
    }
    assert aliases(run) == {"quick:2": ["production"]}


def test_show_prints_the_card_or_the_manifest(run):
    assert run("models", "show", "quick").startswith("# quick\n")
    manifest = json.loads(run("models", "show", "quick:2", "--json"))
    assert manifest["features"] == ["a", "b"]
    assert run("models", "show", "run/bundle") == run("models", "show", "quick")


def test_compare_says_which_is_better(run):
    arguments = ("models", "compare", "quick:1", "quick", "--input", "table.csv")
    found = json.loads(run(*arguments, "--json"))
    assert (found["first"], found["second"], found["rows"]) == ("quick:1", "quick", 300)
    by_metric = {one["metric"]: one for one in found["metrics"]}
    assert {by_metric[name]["better"] for name in ("roc_auc", "log_loss", "accuracy")} == {"second"}
    auc = by_metric["roc_auc"]
    assert auc["difference"] == pytest.approx(auc["second"] - auc["first"])
    assert auc["interval"][0] <= auc["difference"] <= auc["interval"][1]
    shown = run(*arguments)
    assert "roc_auc ↑" in shown
    assert "log_loss ↓" in shown
    assert "[0." in shown


def test_verify_reports_every_fault(run, folder, capsys):
    assert "checks passed" in run("models", "verify", "quick")
    assert json.loads(run("models", "verify", "run/bundle", "--json"))["ok"]
    bundle = Registry("registry").resolve("quick").fetch()
    (bundle / "features.json").write_text("{}")
    (bundle / "new.txt").write_text("x")
    (bundle / "golden.json").unlink()
    with pytest.raises(SystemExit) as end:
        main(["models", "verify", "quick", "--json"])
    assert end.value.code == 6
    checks = {c["name"]: c for c in json.loads(capsys.readouterr().out)["checks"]}
    assert {name for name, c in checks.items() if not c["passed"]} == {
        "features.json",
        "new.txt",
        "golden.json",
        "golden rows",
    }
    assert checks["golden.json"]["detail"] == "missing"
    (bundle / "manifest.json").write_text("{}")
    with pytest.raises(SystemExit) as end:
        main(["models", "verify", "quick"])
    assert (end.value.code, "no format_version" in capsys.readouterr().out) == (6, True)


def test_another_bundle_in_the_place_of_a_version_is_found(run, capsys):
    first, second = (Registry("registry").resolve(f"quick:{i}").fetch() for i in (1, 2))
    shutil.rmtree(second)
    shutil.copytree(first, second)
    run("models", "verify", str(second))
    with pytest.raises(SystemExit) as end:
        main(["models", "verify", "quick:2"])
    assert (end.value.code, f"but {second.name} was registered" in capsys.readouterr().out) == (6, True)


def test_golden_rows_are_replayed(run, folder, capsys, monkeypatch):
    monkeypatch.setattr("ensembles.bundle.GOLDEN_RTOL", -1.0)
    with pytest.raises(SystemExit) as end:
        main(["models", "verify", "quick"])
    assert (end.value.code, "wrong golden rows" in capsys.readouterr().out) == (6, True)


def test_importance_names_the_best_column_first(run):
    found = json.loads(
        run("models", "importance", "quick", "--input", "table.csv", "--repeats", "2", "--json")
    )
    assert [c["column"] for c in found["columns"]] == ["a", "b"]
    assert found["columns"][0]["loss"]["roc_auc"] > 0.2
    shown = run("models", "importance", "quick", "--input", "table.csv", "--repeats", "2")
    assert shown.index("log_loss") < shown.index("roc_auc")


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["list", "nobody"], 5, "'nobody'"),
        (["show", "qiuck"], 5, "did you mean 'quick'"),
        (["promote", "quick"], 2, "expected NAME:VERSION or NAME@ALIAS, such as quick:2"),
        (["promote", "quick:9"], 5, "there is: quick:1, quick:2"),
        (["promote", "quick:1", "--alias", "a b"], 2, "alias='a b'"),
        (["delete", "quick"], 2, "expected NAME:VERSION"),
        (["rollback", "quick", "--alias", "candidate"], 5, "no earlier version"),
        (["history", "nobody"], 5, "'nobody'"),
        (["verify", "nobody"], 5, "'nobody'"),
        (["verify", "./registry"], 5, "without a manifest.json"),
        (["importance", "quick", "--input", "gone.csv"], 3, "gone.csv"),
        (["compare", "quick:1", "quick:3", "--input", "table.csv"], 5, "quick:3"),
        (["--registry", "other", "list"], 2, "--registry: give it after `models list`"),
        (["list", "--registry", "ftp://x/y"], 2, "ftp"),
    ],
)
def test_mistakes(refuse, arguments, code, expected):
    refuse("models", *arguments, code=code, expected=expected)


def test_a_table_without_the_target_is_refused(refuse, folder):
    pd.read_csv("table.csv").drop(columns="y").to_csv("new.csv", index=False)
    for command in (["compare", "quick:1", "quick:2"], ["importance", "quick"]):
        refuse("models", *command, "--input", "new.csv", code=3, expected="no column 'y'")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command):
    shown = CliRunner().invoke(app, ["models", command, "--help"]).output
    assert f"tabularay models {command}" in shown.split("Examples")[1]

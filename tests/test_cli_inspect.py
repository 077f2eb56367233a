"""`tabularay inspect` as a user runs it: text, piped text, JSON, settings, mistakes."""

import json
import os
import pty
import shlex
import sys

import numpy as np
import pandas as pd
import pytest
from rich.cells import cell_len

from cli import main
from tests.conftest import ENVIRONMENT, ROOT, tabularay

N = 300
NAMES = ["나이 (만)", "[bold]plan", 'a "quoted", name', "아주 긴 이름을 가진 어떤 열의 이름입니다 정말로"]


def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.normal(size=N).round(3) for name in NAMES})
    frame["[bold]plan"] = rng.choice(["기본 요금제", "[red]gold"], N)
    frame["ID"] = range(N)
    frame["가입 여부"] = rng.choice(["예", "아니오"], N)
    return frame


@pytest.fixture
def folder(tmp_path, monkeypatch):
    table().to_csv(tmp_path / "가입.csv", index=False)
    table().iloc[:20].to_csv(tmp_path / "test.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def inspect(folder, capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["inspect", *arguments])
        assert not end.value.code
        return capsys.readouterr()

    return run


def test_the_command_tells_what_a_table_is(folder):
    done = tabularay("inspect", "가입.csv", "--target", "가입 여부", "--test", "test.csv", cwd=folder)
    lines = done.stdout.splitlines()
    assert lines[0] == "가입.csv: 300 rows, 6 columns; test file test.csv: 20 rows"
    assert lines[1].split()[:4] == ["column", "kind", "missing", "distinct"]
    for name, line in zip([*NAMES, "ID"], lines[2:], strict=False):
        assert line.startswith(name)
    assert "기본 요금제 (" in lines[3]
    assert "Target 가입 여부: binary" in lines
    warnings = [line for line in lines if line.startswith("warning ")]
    assert [line.split()[1] for line in warnings] == ["left_out:", "shared_rows:"]
    assert done.stderr == ""


def test_columns_stand_under_their_titles_in_wide_characters(inspect):
    lines = inspect("가입.csv", "--target", "가입 여부").out.splitlines()
    start = lines[1].index("kind")
    kinds = [line[_character_at(line, start) :].split()[0] for line in lines[2:7]]
    assert kinds == ["numeric", "categorical", "numeric", "numeric", "ignore"]


def _character_at(line, cell):
    return next(k for k in range(len(line)) if cell_len(line[:k]) == cell)


COLUMN = {
    "name": str,
    "kind": str,
    "missing": int,
    "missing_share": float,
    "distinct": int,
    "low": (float, int, str, type(None)),
    "high": (float, int, str, type(None)),
    "frequent": list,
    "examples": list,
    "note": str,
    "format": str,
}
FREQUENCY = {"value": (str, int, bool, float), "count": int, "share": float}


def check(content, schema):
    assert list(content) == list(schema)
    for key, types in schema.items():
        assert isinstance(content[key], types), (key, content[key])


def test_json_is_one_document_of_a_stable_shape(inspect):
    printed = inspect("가입.csv", "--target", "가입 여부", "--test", "test.csv", "--json")
    content = json.loads(printed.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert printed.err == ""
    assert list(content) == ["source", "rows", "target", "columns", "test_source", "test_rows", "warnings"]
    check(
        content["target"],
        {"name": str, "problem_type": str, "missing": int, "classes": list, "statistics": dict},
    )
    assert [column["name"] for column in content["columns"]] == [*NAMES, "ID"]
    for column in content["columns"]:
        check(column, COLUMN)
    for frequency in [*content["target"]["classes"], *content["columns"][1]["frequent"]]:
        check(frequency, FREQUENCY)
    for warning in content["warnings"]:
        check(warning, {"code": str, "message": str, "columns": list})
    assert [w["code"] for w in content["warnings"]] == ["left_out", "shared_rows"]


def test_without_a_target_there_are_columns_only(inspect):
    content = json.loads(inspect("가입.csv", "--json").out)
    assert content["target"] is None
    assert [column["name"] for column in content["columns"]] == [*NAMES, "ID", "가입 여부"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["가입.csv", "--target", "가입 여부", "data.ignore=[나이 (만)]", "data.kinds={ID: numeric}"],
        ["data.source=가입.csv", "data.target=가입 여부", "data.ignore=[나이 (만)]", "data.kinds.ID=numeric"],
    ],
)
def test_settings_as_tune_takes_them(inspect, arguments):
    content = json.loads(inspect(*arguments, "--json").out)
    assert content["target"]["name"] == "가입 여부"
    kinds = {column["name"]: column["kind"] for column in content["columns"]}
    assert (kinds["나이 (만)"], kinds["ID"]) == ("ignore", "numeric")


def test_a_preset_can_be_inspected_and_changed(inspect):
    content = json.loads(inspect("experiment=credit_default", "--target", "PAY_0", "--json").out)
    assert (content["rows"], content["target"]["name"]) == (30_000, "PAY_0")


def test_a_target_that_looks_like_a_setting_is_taken_as_it_is(inspect, folder):
    name = "[1e3], {x}: ${y}"
    table().rename(columns={"가입 여부": name}).to_csv(folder / "odd.csv", index=False)
    assert json.loads(inspect("odd.csv", "--target", name, "--json").out)["target"]["name"] == name


def test_the_settings_that_warnings_name_can_be_typed(inspect, folder):
    y = table()["가입 여부"].eq("예")
    odd = {'누출 "a", b': np.where(y, 3.0, 4.0), "c'd": np.where(y, 5.0, 4.0)}
    table().assign(**odd).to_csv(folder / "odd.csv", index=False)
    message = next(
        w["message"]
        for w in json.loads(inspect("odd.csv", "--target", "가입 여부", "--json").out)["warnings"]
        if w["code"] == "leak"
    )
    (setting,) = shlex.split(message.split(" out with ")[1])
    content = json.loads(inspect("odd.csv", "--target", "가입 여부", setting, "--json").out)
    assert [w["code"] for w in content["warnings"]] == ["left_out"]


def test_on_a_terminal_lines_fit_and_progress_goes_away(folder):
    reader, writer = pty.openpty()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "cli", "inspect", "가입.csv", "--target", "가입 여부"],
        ENVIRONMENT | {"COLUMNS": "100", "TERM": "xterm", "PYTHONPATH": str(ROOT)},
        file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, writer, 2)],
    )
    os.close(writer)
    printed = b""
    while True:
        try:
            part = os.read(reader, 65536)
        except OSError:  # how Linux ends a terminal whose last writer is gone
            break
        if not part:
            break
        printed += part
    os.close(reader)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = printed.decode()
    assert "Looking for leaks" in text
    assert "categorical" in text.split("Looking for leaks")[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["가입.csv", "--target", "가입여부"],
            3,
            "가입.csv: no target column '가입여부' (did you mean '가입 여부'?)",
        ),
        (["가잎.csv", "--target", "가입 여부"], 3, "no such file (did you mean '가입.csv'?)"),
        (["가입.csv", "--target", "가입 여부", "--test", "gone.csv"], 3, "gone.csv"),
        (["가입.csv", "--target", "가입 여부", "data.ingore=[ID]"], 2, "did you mean 'data.ignore'?"),
        (["가입.csv", "--target", "가입 여부", "data.kinds.ID=date"], 2, "data.kinds.ID"),
        (["가입.csv", "--target", "가입 여부", "data.ignore=[IDs]"], 3, "'IDs'"),
        ([], 2, "data.source: required"),
    ],
)
def test_mistakes(folder, capsys, arguments, code, message):
    with pytest.raises(SystemExit) as end:
        main(["inspect", *arguments])
    printed = capsys.readouterr()
    assert end.value.code == code, printed.err
    assert message in printed.err
    assert printed.out == ""
    assert "Traceback" not in printed.err


def test_help_shows_examples_and_the_keys_of_the_json(inspect):
    text = inspect("--help").out
    assert "tabularay inspect churn.csv --target churned" in text
    assert "missing_share" in text


def test_many_columns_are_summed_up_unless_all_are_asked_for(inspect, folder):
    wide = pd.DataFrame(
        {f"x{k}": [(i * 7 + k) % 60 for i in range(60)] for k in range(150)}
        | {"odd": ["on"] * 60, "y": [0, 1] * 30}
    )
    wide.to_csv(folder / "wide.csv", index=False)
    lines = inspect("wide.csv", "--target", "y").out.splitlines()
    assert "  150 numeric: x0, x1, x2, x3, x4, x5, ..." in lines
    assert "  1 ignore: odd" in lines
    assert any(line.startswith("odd") for line in lines)
    assert any("to list every column, add --all" in line for line in lines)
    assert len(lines) < 60
    whole = inspect("wide.csv", "--target", "y", "--all").out.splitlines()
    assert sum(line.startswith("x") for line in whole) == 150

"""What the README shows is accepted by the code."""

import re
import shlex
from pathlib import Path

import msgspec
import pytest
from typer.main import get_command

from cli import app
from configs.load import load_config
from serving.openapi import ClassPredictions
from serving.requests import PLAIN, read_json
from tuning.spaces import check_families, family_spaces

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OVERRIDES = [
    code
    for row in re.findall(r"^\| [^|]+ \| (`.+) \|$", README, re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", row)
    if "=" in code and not code.startswith("experiment=mine")
]
COMMANDS = [
    line.split("#")[0].strip()
    for line in re.findall(
        r"^    (tabularay .+)$", README.replace("\n    ensemble", " ensemble"), re.MULTILINE
    )
]


@pytest.mark.parametrize("code", OVERRIDES)
def test_settings_are_accepted(code):
    found = re.findall(r"(?:^| )([\w.]+=(?:\[.*?\]|\{.*?\}|\S+))", code)
    config = load_config(["data.source=churn.csv", "data.target=churned", *found])
    check_families(config)
    family_spaces(config, "binary")


def test_settings_were_found():
    assert len(OVERRIDES) >= 12
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command):
    _, name, *arguments = shlex.split(command)
    group = get_command(app)
    parsed = group.commands[name].make_context(name, arguments)
    if name == "tune" and not parsed.params["resume"]:
        load_config(parsed.params["overrides"])


def test_the_request_and_the_answer_fit_the_schema():
    body = re.search(r"-d '(\{.*\})'", README).group(1)
    assert read_json(body.encode(), PLAIN, 10).rows
    answer = re.search(r"^    (\{\"predictions\".*?\]\})$", README, re.MULTILINE | re.DOTALL).group(1)
    assert msgspec.json.decode(answer, type=ClassPredictions).predictions


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([\w/.]+)\)", README)
    assert links
    assert all((ROOT / link).exists() for link in links)

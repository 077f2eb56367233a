"""Where the schema asks for text, what was typed is what is meant."""

import shlex

import pytest

from configs.load import load_config
from configs.overrides import as_override
from data.messages import ignore, name_kind
from errors import ConfigError

NAMES = [
    *(
        "a b",
        "a,b",
        "a, b",
        "(x), y",
        "이탈 여부",
        "$price",
        "price ($)",
        "x=y",
        "{a}",
        "a: b",
        "a:b",
        "it's",
        "50%",
    ),
    *(
        "#no",
        "a\\b",
        "a\\",
        "${x}",
        "1e5",
        "2024_01",
        "null",
        "True",
        "off",
        "- a",
        "a|b",
        "a;b",
        "a/b",
        "@a",
        "&a",
    ),
    *("*a", "!a", "a\tb", "~a", "?", "Ünï", "a[0]", "a.b", "-"),
]
ODD = ["[a]", "'q'", '"dq"', "  lead", "trail "]
TABLE = ["data.source=t.csv", "data.target=y"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_typed_as_it_is_printed(name):
    assert load_config(["data.source=t.csv", f"data.target={name}"]).data.target == name
    assert load_config([*TABLE, f"data.ignore={name}"]).data.ignore == (name,)
    typed = load_config([*TABLE, f"data.kinds={{{name}: numeric, b: datetime}}"]).data.kinds
    assert typed == {name: "numeric", "b": "datetime"}


@pytest.mark.parametrize("name", [*NAMES, *ODD])
def test_what_is_advised_can_be_typed(name):
    assert load_config([*TABLE, *shlex.split(ignore([name, "z"]))]).data.ignore == (name, "z")
    assert load_config([*TABLE, *shlex.split(name_kind(name, "numeric"))]).data.kinds == {name: "numeric"}


@pytest.mark.parametrize("name", [*NAMES, *ODD])
def test_what_a_program_writes_is_read_as_it_was(name):
    data = load_config(
        [
            "data.source=t.csv",
            as_override("data.target", name),
            as_override("data.ignore", [name, "z"]),
            as_override("data.kinds", {name: "numeric"}),
        ]
    ).data
    assert (data.target, data.ignore, data.kinds) == (name, (name, "z"), {name: "numeric"})


def test_a_value_keeps_its_type():
    config = load_config(
        [
            *TABLE,
            "runs=2024_01",
            "name=1e5",
            "data.positive_class=False",
            "data.group=null",
            "families=[dnn, lightgbm]",
        ]
    )
    assert (config.runs, config.name, config.data.positive_class) == ("2024_01", "1e5", "False")
    assert (config.data.group, config.families) == (None, ("dnn", "lightgbm"))
    assert load_config([*TABLE, "search.time_budget_s=1e2"]).search.time_budget_s == 100


def test_examples_of_formats_hold_commas_and_colons():
    formats = "{price: 1.234,5, day: 31/12/2024 10:30, when: Jan 31, 2024, code: text}"
    assert load_config([*TABLE, f"data.formats={formats}"]).data.formats == {
        "price": "1.234,5",
        "day": "31/12/2024 10:30",
        "when": "Jan 31, 2024",
        "code": "text",
    }


@pytest.mark.parametrize(
    "override", ["data.kinds=numeric", "data.kinds={a: numeric", "data.kinds={a}", "data.ignore=[a"]
)
def test_no_list_or_mapping_is_refused(override):
    with pytest.raises(ConfigError, match="not a valid list or mapping"):
        load_config([*TABLE, override])

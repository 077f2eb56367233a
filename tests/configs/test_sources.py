import pytest

from configs.load import default_name, load_config, read_config, save_config
from configs.sources import mask_secrets, source_name, source_scheme
from errors import ConfigError


@pytest.mark.parametrize(
    ("source", "scheme", "name"),
    [
        ("a/b/credit.default.csv.gz", "", "credit.default"),
        ("churn.JSON", "", "churn"),
        ("churn.parquet.zst", "", "churn"),
        ("C:/churn.csv", "", "churn"),
        ("s3://bucket/a/churn.csv.zst?endpoint_override=http://host:9000", "s3", "churn"),
        ("gs://bucket/churn.jsonl", "gs", "churn"),
        ("redis:loans", "redis", "loans"),
        ("redis:loans:2024", "redis", "loans:2024"),
        ("redis://user:pw@host:6379/0?key=loans", "redis", "loans"),
        ("rediss://host?key=a%20b", "rediss", "a b"),
        ("sql:postgresql://host/db#loans", "sql", "loans"),
        ("sql:postgresql://host/db#public.loans", "sql", "loans"),
        ("sql:postgresql://host/db#SELECT a, b FROM raw.loans WHERE a > 1", "sql", "loans"),
        ('sql:postgresql://host/db#select * from "Raw"."Loans"', "sql", "Loans"),
        ("sql:sqlite:///folder/bank.db#SELECT 1 AS a", "sql", "bank"),
        ("https://host/churn.csv", "https", "churn"),
    ],
)
def test_scheme_and_short_name(source, scheme, name):
    assert source_scheme(source) == scheme
    assert source_name(source) == name


def test_default_name_is_a_folder():
    assert default_name("redis:loans/2024:a") == "loans_2024_a"
    assert default_name("redis:") == "model"


SECRETS = [
    ("redis://u:PW@h:6379/0?key=k", "redis://u:***@h:6379/0?key=k"),
    ("redis://:PW@h:6379/0?key=k", "redis://:***@h:6379/0?key=k"),
    ("redis://h:6379/0?key=k&password=PW", "redis://h:6379/0?key=k&password=***"),
    ("sql:postgresql://u:PW@h:5432/db#t", "sql:postgresql://u:***@h:5432/db#t"),
    ("sql:postgresql://h/db?user=u&password=PW#t", "sql:postgresql://h/db?user=u&password=***#t"),
    ("s3://KEY:PW@bucket/t.csv", "s3://KEY:***@bucket/t.csv"),
    ("could not connect to redis://u:PW@h/0: refused", "could not connect to redis://u:***@h/0: refused"),
]


@pytest.mark.parametrize(("text", "masked"), SECRETS)
def test_secrets_are_masked(text, masked):
    assert mask_secrets(text) == masked
    for password in ("PW@PW", "PW/PW", "PW:PW", "12/PW", "PW%40PW", "PW$"):
        assert "PW" not in mask_secrets(text.replace("PW", password))


def test_a_password_that_breaks_its_url_is_masked_too():
    for password in ("PW#PW", "PW PW", "PW?PW", "PW#P@W"):
        masked = mask_secrets(f"sql:postgresql://u:{password}@h:5432/db#t")
        assert masked == "sql:postgresql://u:***@h:5432/db#t"


@pytest.mark.parametrize(
    "text",
    [
        "a/b/churn.csv",
        "redis:a:b@c",
        "sql:postgresql://host:5432/db#SELECT * FROM t WHERE mail LIKE '%:x@y'",
        "sql:postgresql://user@host:5432/db#t",
        "s3://bucket/a.csv?endpoint_override=http://host:9000&region=eu",
    ],
)
def test_nothing_else_is_masked(text):
    assert mask_secrets(text) == text


def test_a_written_configuration_holds_no_password(tmp_path):
    source, test = "sql:postgresql://u:s3cr3t@h/db#loans", "redis://:s3cr3t@h/0?key=test"
    config = load_config([f"data.source={source}", f"data.test_source={test}", "data.target=y"])
    assert (config.data.source, config.data.test_source, config.name) == (source, test, "loans")
    save_config(config, tmp_path / "config.yaml")
    assert "s3cr3t" not in (tmp_path / "config.yaml").read_text("utf-8")
    assert read_config(tmp_path / "config.yaml").data.source == "sql:postgresql://u:***@h/db#loans"
    assert "s3cr3t" not in f"{config!r} {config.model_dump()} {config.model_dump_json()}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["sql:postgresql://u:s3cr3t@h/db#t", "data.target=y"],
        ["data=sql:postgresql://u:s3cr3t@h/db#t", "data.target=y"],
        ["data.surce=redis://u:s3cr3t@h/0?key=k", "data.target=y"],
        ["families=redis://u:s3cr3t@h/0?key=k", "data.folds=3", "data.target=y"],
    ],
)
def test_configuration_errors_hold_no_password(arguments):
    with pytest.raises(ConfigError) as caught:
        load_config(arguments)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "redis:loans:2024",
        "redis:{a}",
        "redis://user:p%40ss@localhost:6379/0?key=a%20b",
        "sql:postgresql://host:5432/db#public.loans",
        "sql:postgresql://u:p$w$HOME@host/db#SELECT a, b FROM t WHERE x > 3 AND y = 'it''s'",
        "sql:sqlite:////abs/x.db#SELECT * FROM t WHERE a LIKE '%\\_%' ESCAPE '\\'",
        'sql:sqlite:///a b.db#SELECT f(x), "My Col" FROM t -- a comment',
        "sql:postgresql://u:p\\'w\\\\@h/db#t",
        "sql:postgresql://u:${oc.env:HOME}@h/db#t",
        "s3://bucket/a b/t.csv.gz?endpoint_override=http://localhost:9000&region=eu-west-1",
        "C:\\folder\\",
        "-",
        "book.xlsx#Sheet 2 (May)",
        "tables.zip#folder/a b.csv",
        "folder/part-*.parquet",
        "part-[0-9]?.csv",
        "https://user:p%40ss@host:8443/a/t.csv?version=2&sign=a%2Fb=",
        "s3://bucket/part-*.csv?region=eu-west-1",
    ],
)
def test_a_source_arrives_from_the_command_line_as_it_was_typed(source):
    assert load_config([f"data.source={source}", "data.target=y"]).data.source == source

"""A job whose table lies in a database that wants a password: learned from, and nowhere written."""

import json

import psycopg
import pytest
import redis
from sklearn.datasets import load_breast_cancer

from configs.schema import DataConfig
from data.dataset import load_dataset
from errors import TabularayError
from tests.conftest import ENVIRONMENT, tabularay
from tests.servers import PASSWORD

JOB = ("data.target=target", "families=[lightgbm]", "search.num_trials=1", "data.val_size=0.5", "--json")


def files_with(text, folder):
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.fixture(scope="module")
def frame():
    frame = load_breast_cancer(as_frame=True).frame.iloc[:200, [0, 1, 2, 30]]
    return frame.rename(columns=lambda name: name.replace(" ", "_"))


@pytest.fixture(scope="module")
def url(postgres, frame):
    url = f"postgresql://tester:{PASSWORD}@{postgres}/postgres"
    with psycopg.connect(url) as connection:
        columns = ", ".join(f"{name} numeric" for name in frame.columns[:-1])
        connection.execute(f"CREATE TABLE cells ({columns}, target boolean)")
        with connection.cursor().copy("COPY cells FROM STDIN") as copy:
            for row in frame.astype({"target": bool}).itertuples(index=False):
                copy.write_row(row)
    return f"sql:{url}"


def test_a_password_in_the_source_is_nowhere_afterwards(url, frame, redis_url, tmp_path):
    done = tabularay("tune", f"data.source={url}#cells", *JOB, "data.test_size=0.2", cwd=tmp_path)
    assert json.loads(done.stdout)["model_id"] == "cells:1"
    assert not files_with(PASSWORD, tmp_path)
    assert files_with("tester:***@", tmp_path / "runs")
    assert PASSWORD not in done.stdout + done.stderr

    with redis.Redis.from_url(redis_url) as client:
        client.set("cells", frame.drop(columns="target").to_json(orient="records"))
    environment = ENVIRONMENT | {"REDIS_URL": redis_url}
    predict = ["predict", "cells", "--input", "redis:cells"]
    assert len(tabularay(*predict, cwd=tmp_path, environment=environment).stdout.splitlines()) == 201


def test_a_mistake_is_told_without_the_password(url, tmp_path):
    done = tabularay("inspect", f"{url}#cels", "--target", "target", cwd=tmp_path, check=False)
    assert done.returncode == 3
    assert "#cels: no such table (did you mean 'cells'?)" in done.stderr
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"target": "tarte"}, "no target column 'tarte'"),
        ({"test_size": 0.2, "test_source": "{url}#cells"}, "give one of them"),
        ({"test_source": "{url}#SELECT target, 1 AS a FROM cells"}, "mean_radius"),
    ],
)
def test_the_dataset_s_errors_hold_no_password(url, options, expected):
    given = {
        key: value.replace("{url}", url) if isinstance(value, str) else value
        for key, value in options.items()
    }
    with pytest.raises(TabularayError, match=expected) as caught:
        load_dataset(DataConfig(**{"source": f"{url}#cells", "target": "target"} | given))
    assert "tester:***@" in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_notes_hold_no_password(url):
    query = "SELECT mean_radius, mean_texture, mean_perimeter, nullif(target, mean_radius > 20) AS target FROM cells"
    dataset = load_dataset(DataConfig(source=f"{url}#cells", target="target", test_source=f"{url}#{query}"))
    assert any("tester:***@" in note for note in dataset.notes)
    assert PASSWORD not in " ".join(dataset.notes)

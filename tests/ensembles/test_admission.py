"""Which new versions go into production by themselves."""

import numpy as np
import pytest

from ensembles.admission import admit, constant_score, doubts


def manifest(oof, interval=None, test=None, metric="roc_auc", constant=0.5, leaks=()):
    findings = [{"code": "leak", "message": "a leak", "columns": list(leaks)}] if leaks else []
    findings.append({"code": "id_like", "message": "an id", "columns": ["key"]})
    intervals = {} if interval is None else {"oof": interval}
    if test is not None:
        intervals["test"] = {"ensemble": {metric: test}}
    return {
        "metric": metric,
        "scores": {"oof": oof, "constant": constant, "intervals": intervals},
        "examined": {
            "findings": findings,
            "n_rows": 9,
            "n_examined": 9,
            "left_out": [],
            "seconds": 0.1,
        },
    }


GOOD = manifest(0.8, [0.75, 0.85], [0.7, 0.81])
LOSS = {"metric": "log_loss", "constant": 0.69}
DOUBTFUL = {
    "a leak": (manifest(0.8, [0.7, 0.9], leaks=["e-mail"]), "'e-mail' is suspected"),
    "leaks": (manifest(0.8, [0.7, 0.9], leaks=["a", "b"]), "'a', 'b' are suspected"),
    "chance": (manifest(0.53, [0.49, 0.57]), "[0.4700, 0.5900 at 99.7 %] is not surely better than 0.5000"),
    "nearly chance": (manifest(0.56, [0.51, 0.61]), "[0.4850, 0.6350 at 99.7 %] is not surely better"),
    "worse than chance": (manifest(0.4, [0.3, 0.45]), "not surely better"),
    "chance, no time for an interval": (manifest(0.5), "out-of-fold roc_auc 0.5000 is not surely"),
    "a loss of chance": (manifest(0.68, [0.65, 0.7], **LOSS), "not surely better than 0.6900"),
    "a worse test": (manifest(0.9, [0.88, 0.92], [0.7, 0.85]), "within [0.7000, 0.8500], worse than 0.9000"),
    "a worse loss on the test": (manifest(0.3, [0.2, 0.4], [0.41, 0.6], **LOSS), "worse than 0.3000"),
}
FINE = {
    "good": GOOD,
    "a loss": manifest(0.3, [0.2, 0.4], [0.2, 0.6], **LOSS),
    "better on the test": manifest(0.7, [0.6, 0.8], [0.75, 0.9]),
    "a lower loss on the test": manifest(0.3, [0.2, 0.4], [0.1, 0.2], **LOSS),
    "written by 0.1.0": {"metric": "roc_auc", "scores": {"oof": 0.5, "intervals": {}}},
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_doubtful_version_is_a_candidate(name):
    content, expected = DOUBTFUL[name]
    (doubt,) = doubts(content)
    assert expected in doubt
    assert admit(content, "auto").alias == "candidate"
    assert admit(content, "production").alias == "production"
    assert admit(content, "production").doubts == (doubt,)
    assert admit(content, None).alias is None


@pytest.mark.parametrize("name", FINE)
def test_any_other_goes_into_production(name):
    assert doubts(FINE[name]) == ()
    assert admit(FINE[name], "auto").alias == "production"
    assert admit(FINE[name], "auto", promote=True).alias == "candidate"
    assert admit(FINE[name], "mine").alias == "mine"


@pytest.mark.parametrize(
    ("metric", "y", "n_classes", "expected"),
    [
        ("roc_auc", [0, 0, 0, 1], 2, 0.5),
        ("accuracy", [0, 0, 0, 1], 2, 0.75),
        ("f1", [0, 0, 0, 1], 2, 0.0),
        ("log_loss", [0, 1, 2], 3, np.log(3)),
        ("r2", [1.0, 2.0, 4.0], 0, 0.0),
        ("mae", [0.0, 0.0, 9.0], 0, 3.0),
    ],
)
def test_what_the_same_answer_for_every_row_scores(metric, y, n_classes, expected):
    assert constant_score(metric, np.array(y), n_classes) == pytest.approx(expected)

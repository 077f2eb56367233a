import pytest
from markdown_it import MarkdownIt

from ensembles.cardtext import card_markdown

MANIFEST = {
    "format_version": 2,
    "name": "churn",
    "run": "churn-20260131-120000",
    "seed": 3,
    "created": 0.5,
    "metric": "log_loss",
    "problem_type": "binary",
    "target": "left | <b>",
    "classes": ["no", "yes"],
    "columns": [{"name": "plan_a*", "kind": "categorical"}, {"name": "age", "kind": "numeric"}],
    "features": ["plan_a*", "age"],
    "n_rows": 12345,
    "data_sha256": "ab" * 32,
    "members": [
        {"trial": "0003-dnn", "family": "dnn", "weight": 0.75, "noise": 0.0},
        {"trial": "0001-lightgbm", "family": "lightgbm", "weight": 0.25, "noise": 0.0},
    ],
    "versions": {"python": "3.11.7", "numpy": "2.4.1"},
    "calibration": {"kind": "beta", "a": 1, "b": 1, "c": 0},
    "scores": {
        "oof": 0.3,
        "oof_best_single": 0.31,
        "best_single": "0003-dnn",
        "n_candidates": 9,
        "intervals": {"oof": [0.29, 0.32], "test": {"ensemble": {"log_loss": [0.2, 0.4]}}},
        "calibration": {
            "kind": "beta",
            "log_loss_before": 0.35,
            "log_loss_after": 0.34,
            "ece_before": 0.05,
            "ece_after": 0.01,
        },
        "threshold": {"for": "f1", "before": 0.5, "after": 0.6},
        "test": {
            "ensemble": {"roc_auc": 0.9, "log_loss": 0.33},
            "untuned_lightgbm": {"roc_auc": 0.8, "log_loss": 0.4},
        },
        "test_honesty": {"level": 0.9, "covered": 0.912, "mean_set_size": 1.2, "ece": 0.02},
    },
}


def test_a_full_card_says_all_there_is():
    card = card_markdown(MANIFEST)
    for text in (
        "# churn\n",
        "one ensemble of 2 members (dnn, lightgbm), chosen for log_loss",
        'load_bundle("FOLDER OF THIS CARD")',
        "12,345 rows",
        "ab" * 32,
        "plan_a\\* (categorical), age (numeric)",
        "Out of fold, log_loss: **0.3000 \\[0.2900, 0.3200\\]**; best single trial 0.3100 (0003-dnn)",
        "|  | log_loss | roc_auc |",
        "| **ensemble** | 0.3300 \\[0.2000, 0.4000\\] | 0.9000 |",
        "| untuned LightGBM | 0.4000 | 0.8000 |",
        "| 0003-dnn | dnn | 0.750 |",
        "calibration: beta; out of fold, expected calibration error 0.05000 before, 0.01000 after",
        "decided for f1: 0.5000 by the likeliest class, 0.6000 as decided",
        "91.2% lie within what should hold 90%, classes in a set on average 1.200",
        "run: churn-20260131-120000",
        "made: 1970-01-01 00:00 UTC",
        "seed: 3",
        "libraries: python 3.11.7, numpy 2.4.1",
    ):
        assert text in card, text
    assert "No rows were withheld" not in card
    assert card == card_markdown(MANIFEST)


@pytest.mark.parametrize("key", [*MANIFEST, *MANIFEST["scores"]])
def test_what_is_missing_gives_no_line(key):
    scores = {k: v for k, v in MANIFEST["scores"].items() if k != key}
    card = card_markdown({k: v for k, v in (MANIFEST | {"scores": scores}).items() if k != key})
    assert card.endswith("\n")
    assert "None" not in card
    assert "##  " not in card
    if key in ("test", "scores"):
        assert "No rows were withheld, so there is no score" in card


def test_what_was_not_calibrated_has_one_figure():
    card = card_markdown(MANIFEST | {"calibration": None})
    assert (
        "calibration: none was needed; out of fold, expected calibration error 0.05000; log-loss 0.3500\n"
        in card
    )


def test_an_empty_manifest_gives_a_card():
    assert card_markdown({}).startswith("# model\n\n## Use\n")


def test_names_are_shown_as_they_are():
    names = ["a|b", "<script>", "*x*", "_y_", "snake_case", "[l](u)", "tick`", "two\nlines", "back\\slash"]
    manifest = MANIFEST | {"columns": None, "features": names, "name": "<i>"}
    html = MarkdownIt().enable("table").render(card_markdown(manifest))
    for shown in (
        "a|b",
        "&lt;script&gt;",
        "*x*",
        "_y_",
        "snake_case",
        "[l](u)",
        "tick`",
        "two lines",
        "back\\slash",
    ):
        assert shown in html, shown
    assert "<script>" not in html
    assert "<h1>&lt;i&gt;</h1>" in html
    assert html.count("<table>") == 2


def test_long_tables_are_cut():
    manifest = MANIFEST | {"columns": None, "features": [f"c{i}" for i in range(100)]}
    assert "100 columns: c0, c1" in card_markdown(manifest)
    assert "c59 and 40 more (features.json)" in card_markdown(manifest)

"""The model card: what a bundle's manifest says, as Markdown for people.

A pure function of the manifest; what the manifest does not hold gives no line. Of `scores` it reads, besides what
build.py has always written:

    intervals       {"oof": [low, high], "test": {who: {metric: [low, high]}}}, 95 % by bootstrap over rows
    calibration     log_loss_before, log_loss_after, ece_before, ece_after
    threshold       {"for": goal, "before": value, "after": value}
    test_honesty    level, covered, mean_width or mean_set_size, ece

of the manifest itself `importance`, [{"column", "loss"}], and `examined`, see data/examination.py.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from data.examination import Examination
from data.messages import show_score as number
from ensembles.admission import doubts

Manifest = Mapping[str, Any]

SHOWN_COLUMNS = 60
SHOWN_CLASSES = 20
SHOWN_IMPORTANCE = 20
WHO = {"ensemble": "**ensemble**", "best_single": "best single trial", "untuned_lightgbm": "untuned LightGBM"}


def card_markdown(manifest: Manifest) -> str:
    """The card of a bundle; ends with a line break.

    Args:
        manifest: The bundle's manifest.
    """
    sections = (
        ("", _intro(manifest)),
        ("Beware", _beware(manifest)),
        ("Use", _use(manifest)),
        ("Data", _data(manifest)),
        ("Scores", _scores(manifest)),
        ("Members", _members(manifest)),
        ("Importance", _importance(manifest)),
        ("Calibration and coverage", _honesty(manifest)),
        ("Limits", _limits(manifest)),
        ("Made with", _made_with(manifest)),
    )
    parts = [f"# {_plain(manifest.get('name', 'model'))}"]
    for title, lines in sections:
        if lines:
            parts.append("\n".join([f"## {title}", "", *lines] if title else lines))
    return "\n\n".join(parts) + "\n"


def _intro(manifest: Manifest) -> list[str]:
    target, members = manifest.get("target"), manifest.get("members", ())
    if target is None:
        return []
    families = sorted({m["family"] for m in members})
    made = (
        f" of {len(members)} {'member' if len(members) == 1 else 'members'} ({', '.join(families)})"
        if members
        else ""
    )
    metric = f", chosen for {manifest['metric']}" if "metric" in manifest else ""
    kind = f" ({manifest['problem_type']})" if "problem_type" in manifest else ""
    text = f"Predicts `{_code(target)}`{kind}: one ensemble{made}{metric}."
    return [f"{text} It answers every row with how sure it is."]


def _beware(manifest: Manifest) -> list[str]:
    """Why it should not be in production unseen, and what was found in its training rows."""
    lines = [f"- **{_plain(doubt)}**" for doubt in doubts(manifest)]
    if "examined" in manifest:
        examination = Examination.from_json(manifest["examined"])
        lines += [f"- {finding.code}: {_plain(finding.message)}" for finding in examination.findings]
        lines += [f"- {_plain(examination.limits)}"] if examination.limits else []
    return lines


def _use(manifest: Manifest) -> list[str]:
    name = _code(manifest.get("name", "NAME"))
    return [
        "```python",
        "from ensembles import load_bundle",
        "",
        'answer = load_bundle("FOLDER OF THIS CARD").predict(frame)   # a pandas frame, or a list of dicts',
        "answer.mean, answer.total, answer.aleatoric, answer.epistemic",
        "```",
        "",
        f"Or `tabularay predict {name} --input FILE`. The files hold no code; every byte and a few stored answers are "
        "checked when it loads.",
    ]


def _data(manifest: Manifest) -> list[str]:
    lines = []
    if "n_rows" in manifest:
        lines.append(f"- {manifest['n_rows']:,} rows to learn from")
    if "data_sha256" in manifest:
        lines.append(f"- fingerprint (sha256) `{manifest['data_sha256']}`")
    if classes := manifest.get("classes"):
        more = f" and {len(classes) - SHOWN_CLASSES} more" if len(classes) > SHOWN_CLASSES else ""
        lines.append(f"- classes: {', '.join(_plain(c) for c in classes[:SHOWN_CLASSES])}{more}")
    columns = manifest.get("columns") or [{"name": name} for name in manifest.get("features", ())]
    if columns:
        lines.append(f"- {len(columns)} columns: {', '.join(map(_column, columns[:SHOWN_COLUMNS]))}")
        if len(columns) > SHOWN_COLUMNS:
            lines[-1] += f" and {len(columns) - SHOWN_COLUMNS} more (features.json)"
    return lines


def _column(column: Mapping[str, Any]) -> str:
    kind = f" ({column['kind']})" if column.get("kind") else ""
    return f"{_plain(column['name'])}{kind}"


def _scores(manifest: Manifest) -> list[str]:
    scores, metric = manifest.get("scores", {}), manifest.get("metric", "")
    intervals = scores.get("intervals", {})
    lines = []
    if "oof" in scores:
        lines.append(
            f"Out of fold, {metric}: **{_score(scores['oof'], intervals.get('oof'))}**"
            + _beside(scores)
            + ". Each fold was answered by what the other folds chose, calibrated and decided."
        )
    test = scores.get("test") or {}
    if test:
        lines += [
            "",
            "On rows withheld until the end:",
            "",
            *_test_table(test, metric, intervals.get("test", {})),
        ]
    if intervals:
        lines += [
            "",
            "Brackets hold 95 % of resamples (bootstrap): of rows, of groups, or of stretches of time.",
        ]
    return lines


def _beside(scores: Mapping[str, Any]) -> str:
    if scores.get("oof_best_single") is None:
        return ""
    return (
        f"; best single trial {number(scores['oof_best_single'])} ({_plain(scores.get('best_single', ''))})"
    )


def _test_table(
    test: Mapping[str, Mapping[str, float]], metric: str, intervals: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    first = next(iter(test.values()))
    names = [*([metric] if metric in first else []), *(name for name in first if name != metric)]
    rows = [
        [WHO.get(who, _plain(who)), *(_score(found[n], intervals.get(who, {}).get(n)) for n in names)]
        for who, found in test.items()
    ]
    return _table(["", *names], rows)


def _importance(manifest: Manifest) -> list[str]:
    found = manifest.get("importance", ())
    if not found:
        return []
    rows = [[_plain(row["column"]), number(row["loss"])] for row in found[:SHOWN_IMPORTANCE]]
    said = f"How much worse {manifest.get('metric', 'the score')} gets on withheld rows when a column is shuffled:"
    return [said, "", *_table(["column", "loss"], rows)]


def _members(manifest: Manifest) -> list[str]:
    members = manifest.get("members", ())
    if not members:
        return []
    names = [m.get("trial", m.get("name", "")) for m in members]
    rows = [[_plain(name), m["family"], f"{m['weight']:.3f}"] for name, m in zip(names, members, strict=True)]
    lines = _table(["member", "family", "weight"], rows)
    if refitted := manifest.get("scores", {}).get("refitted"):
        lines += ["", f"{refitted.get('members', 0)} of {len(members)} were fitted once more on all rows."]
    return lines


def _honesty(manifest: Manifest) -> list[str]:
    scores, lines = manifest.get("scores", {}), []
    if report := scores.get("calibration"):
        lines.append(_calibration((manifest.get("calibration") or {}).get("kind"), report))
    if threshold := scores.get("threshold"):
        values = (
            f"{number(threshold['before'])} by the likeliest class, {number(threshold['after'])} as decided"
        )
        lines.append(f"- classes are decided for {threshold['for']}: {values} (out of fold)")
    if never := scores.get("never_positive"):
        lines.append(
            f"- no row is rightly called positive (highest probability {number(never['highest'])}): "
            f"`ensemble.threshold=f1` decides from {number(never['threshold'])} on "
            f"(F1 {number(never['f1'])} out of fold)"
        )
    if found := scores.get("test_honesty"):
        lines += _on_test(found)
    if manifest.get("problem_type") == "regression" and lines:
        lines.append("- uncertainties are standard deviations in the target's unit")
    return lines


def _calibration(kind: str | None, report: Mapping[str, float]) -> str:
    def figure(key: str) -> str:
        before = number(report[f"{key}_before"])
        return f"{before} before, {number(report[f'{key}_after'])} after" if kind else before

    labels = (("ece", "expected calibration error"), ("log_loss", "log-loss"))
    figures = "; ".join(f"{label} {figure(key)}" for key, label in labels if f"{key}_before" in report)
    return f"- calibration: {kind or 'none was needed'}; out of fold, {figures}"


def _on_test(found: Mapping[str, Any]) -> list[str]:
    lines = []
    if "covered" in found:
        sizes = {"mean_width": "mean width", "mean_set_size": "classes in a set on average"}
        size = "".join(f", {label} {number(found[key])}" for key, label in sizes.items() if key in found)
        lines.append(
            f"- of the withheld rows {found['covered']:.1%} lie within what should hold {found['level']:.0%}{size}"
        )
    if "ece" in found:
        lines.append(f"- expected calibration error on the withheld rows {number(found['ece'])}")
    return lines


def _limits(manifest: Manifest) -> list[str]:
    if "target" not in manifest:
        return []
    lines = [
        "- Its scores, probabilities and intervals hold for rows like those it learned from; on others it may be sure "
        "and wrong. Compare it on recent rows now and then: `tabularay models compare`.",
        "- A category it never saw counts as unknown; a column it needs and does not get is an error.",
        "- Nobody has checked whether it treats groups of people alike.",
    ]
    if not manifest.get("scores", {}).get("test"):
        lines.append("- No rows were withheld, so there is no score on rows that had no part in any choice.")
    return lines


def _made_with(manifest: Manifest) -> list[str]:
    created = manifest.get("created")
    facts = {
        "run": manifest.get("run"),
        "made": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(created)) if created else None,
        "seed": manifest.get("seed"),
        "bundle format": manifest.get("format_version"),
        "libraries": ", ".join(f"{k} {v}" for k, v in manifest.get("versions", {}).items()),
    }
    return [f"- {label}: {_plain(value)}" for label, value in facts.items() if value not in (None, "")]


def _score(value: float, interval: Sequence[float] | None) -> str:
    if interval is None:
        return number(value)
    low, high = interval
    return f"{number(value)} \\[{number(low)}, {number(high)}\\]"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    ruler = ["---", *("---:" for _ in titles[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (titles, ruler, *rows)]


def _plain(value: Any) -> str:
    """Text that Markdown shows as it is, on one line; `_` within a word needs no escape."""
    text = " ".join(str(value).split())
    return re.sub(r"([\\`*\[\]<>|#])|(?<!\w)_|_(?!\w)", lambda found: f"\\{found[0]}", text)


def _code(value: Any) -> str:
    """Text for between backticks."""
    return " ".join(str(value).replace("`", "'").split())

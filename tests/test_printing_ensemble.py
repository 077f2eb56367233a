from printing import honesty_lines

SCORES = {
    "calibration": {"kind": "temperature", "log_loss_before": 0.31946, "log_loss_after": 0.16632},
    "test_honesty": {"level": 0.9, "covered": 0.9012, "mean_set_size": 1.0631, "ece": 0.01},
    "threshold": {"for": "f1", "before": 0.41, "after": 0.52},
    "refitted": {"members": 2, "kept": {"0003-dnn": "no time: a fit on all rows takes about 9 s"}},
    "latency_ms": {"estimate": 7.31, "limit": 5.0},
}


def test_everything_asked_for_is_told():
    lines = honesty_lines(SCORES)
    assert len(lines) == 5
    for line, parts in zip(
        lines,
        [
            ("temperature", ".319", ".166"),
            ("90% sets held 90.1%", "mean set size 1.063"),
            ("f1", ".41", ".52"),
            ("2 members", "1 kept", "no time"),
            ("7.3 ms", "limit 5 ms", "over it"),
        ],
        strict=True,
    ):
        assert all(part in line for part in parts), line


def test_what_was_not_asked_for_is_not_told():
    assert honesty_lines({"oof": 1.0, "test": {}, "test_honesty": {}}) == []
    assert honesty_lines({"calibration": {"kind": None}}) == []
    width = honesty_lines({"test_honesty": {"level": 0.9, "covered": 0.899, "mean_width": 117340.0}})
    assert width == ["90% intervals held 89.9% of the test rows, mean width 117,340.0"]

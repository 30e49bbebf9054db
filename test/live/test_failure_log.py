from samlite_ros.live.failure_log import FailureLog, described


def test_new_failures_are_told_and_repeated_ones_only_now_and_then():
    told, now = [], [100.0]
    log = FailureLog(told.append, lambda: now[0])
    script = [
        (100.0, "camera", "dark", True),
        (100.1, "camera", "dark", False),
        (100.1, "network", "memory", True),
        (100.2, "camera", "short", False),
        (100.6, "camera", "short", True),
        (105.5, "camera", "short", False),
        (105.6, "camera", "short", True),
    ]
    for now_s, who, what, is_told in script:
        now[0], before = now_s, len(told)
        log(who, what)
        assert (told[before:] == [f"{who}: {what}"]) is is_told


def test_an_error_is_described_in_one_short_line_that_says_where():
    try:
        raise ValueError("no\nsuch " + "thing " * 1000)
    except ValueError as error:
        line = described(error)
    assert line.startswith("ValueError: no such thing") and len(line) < 400 and "\n" not in line
    assert "(test_failure_log.py:" in line
    assert described(KeyError()) == "KeyError: no words"

from samlite_ros.live.failure_log import MOST_SUBJECTS, FailureLog, described


def test_new_failures_are_told_and_repeated_ones_only_now_and_then():
    told, now = [], [100.0]
    log = FailureLog(told.append, lambda: now[0])
    script = [
        (100.0, "camera", "dark", True),
        (100.1, "camera", "dark", False),
        (100.1, "network", "memory", True),
        (100.2, "camera", "short", False),
        (101.1, "camera", "short", True),
        (106.0, "camera", "short", False),
        (106.1, "camera", "short", True),
    ]
    for now_s, who, what, is_told in script:
        now[0], before = now_s, len(told)
        log(who, what)
        assert bool(told[before:] and told[before].startswith(f"{who}: {what}")) is is_told
    assert [line.partition(" (")[2] for line in told] == ["", "", "2 lines were left out)", "1 lines were left out)"]


def test_lines_that_differ_in_numbers_only_are_the_same():
    told, now = [], [0.0]
    log = FailureLog(told.append, lambda: now[0])
    for i in range(90):
        now[0] = i / 30
        log("camera", f"{i} bytes, expected 100")
    assert told == ["camera: 0 bytes, expected 100"]


def test_the_number_left_out_is_told_when_it_is_over():
    told, now = [], [0.0]
    log = FailureLog(told.append, lambda: now[0])
    for _ in range(5):
        log("camera", "dark")
    log.tell_rest()
    now[0] = 5.0
    log.tell_rest()
    log.tell_rest()
    assert told == ["camera: dark", "camera: no more of this (4 lines were left out)"]


def test_subjects_without_end_are_forgotten():
    told = []
    log = FailureLog(told.append, lambda: 0.0)
    for i in range(3 * MOST_SUBJECTS):
        log(f"client {i}", "refused")
    assert len(told) == 3 * MOST_SUBJECTS and len(log._told) == MOST_SUBJECTS


def test_clients_without_end_share_a_subjects_lines():
    told, now = [], [0.0]
    log = FailureLog(told.append, lambda: now[0])
    for i in range(500):
        now[0] = i / 16
        log.tell("refused", f"client {'abcdefghij'[i % 10]}{i} asks too much", f"c{i}")
    now[0] += 10.0
    log.tell_rest()
    assert len(told) <= 32 + 1
    assert told[1] == "client g16 asks too much (15 lines of 15 clients were left out)"
    assert told[-1].startswith("refused: no more of this (") and "clients were left out" in told[-1]
    for i in range(3 * MOST_SUBJECTS):
        log.tell("refused", "x", f"{i}")
    now[0] += 10.0
    log.tell_rest()
    assert told[-1].endswith(f"lines of {MOST_SUBJECTS} or more clients were left out)")


def test_an_error_is_described_in_one_short_line_that_says_where():
    try:
        raise ValueError("no\nsuch " + "thing " * 1000)
    except ValueError as error:
        line = described(error)
    assert line.startswith("ValueError: no such thing") and len(line) < 400 and "\n" not in line
    assert "(test_failure_log.py:" in line
    assert described(KeyError()) == "KeyError: no words"

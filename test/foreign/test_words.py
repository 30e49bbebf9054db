"""Foreign texts in logs and errors: one line, escaped, short."""

import pytest

from samlite_ros.foreign.words import cut, named, one_line, printable, quoted, quoted_names


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("red", "'red'"),
        ("a\n\x1b[2J\u202e", r"'a\n\x1b[2J\u202e'"),
        ("x" * 81, f"'{'x' * 80}'... (81 characters)"),
        (5, "5"),
        (10**100, "a int"),
        (float("nan"), "nan"),
        (None, "None"),
        ([1, "a"], "[1, 'a']"),
        ([[1]], "a list of 1"),
        (list(range(1000)), "a list of 1,000"),
        ({"a": 1}, "a dict of 1"),
    ],
)
def test_quoted(value, shown):
    assert quoted(value) == shown


def test_names_that_are_plain_stand_as_they_are():
    assert named("/camera/image_raw") == "/camera/image_raw"
    assert named("a\nb") == r"'a\nb'"
    assert quoted_names(f"n{i}" for i in range(12)) == "n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 2 more"


def test_cut_and_one_line():
    assert cut("x" * 300) == "x" * 197 + "..."
    assert one_line("a\n  b\x07") == "a b?"
    assert one_line(MemoryError()) == "MemoryError"


def test_printable_leaves_letters_and_escapes_what_a_terminal_obeys():
    assert printable("røde 球\tx\n") == "røde 球\tx\n"
    assert printable("a\u202egpj.png\x1b[2J\r") == r"a\u202egpj.png\x1b[2J\r"

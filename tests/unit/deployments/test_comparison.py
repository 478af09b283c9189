"""Each difference, by its path."""

from deployments.comparison import differences


def test_equal_values():
    """What is the same needs no line, in whatever order its keys are."""
    assert [] == differences({"a": 1, "b": [1, {"c": None}]}, {"b": [1, {"c": None}], "a": 1})


def test_each_difference_has_its_path():
    """Changed, missing and additional values are told apart."""
    wanted = {"env": {"A": "1", "B": "2"}, "limit": 1}
    found = {"env": {"A": "0", "C": "3"}, "limit": 1}

    assert [
        'env.A is "0", it should be "1"',
        'env.B is missing, it should be "2"',
        'env.C is "3", it should not be there',
    ] == differences(wanted, found)


def test_long_value_is_cut():
    """A template of pages does not fill the screen."""
    (line,) = differences({"a": "x" * 500}, {"a": "y"})

    assert len(line) < 150

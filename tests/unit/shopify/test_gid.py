"""Global ids and their numbers."""

import pytest

from shopsync.shopify.gid import kind, number


@pytest.mark.parametrize(
    ("gid", "expected"),
    [
        ("gid://shopify/Order/1", 1),
        ("gid://shopify/LineItem/12345678901234", 12345678901234),
        ("gid://shopify/Order/1?x=y", 1),
        ("gid://shopify/Order/1?path=a/b", None),
        ("gid://shopify/Order/", None),
        ("gid://shopify/Order/1a", None),
        ("gid://shopify/Order/²", None),
        ("gid://shopify/Order/١", None),
        ("Order/1", None),
        ("", None),
    ],
)
def test_number_is_the_tail(gid: str, expected: int | None) -> None:
    """The number of a gid is its numeric tail, parameters aside; anything else is refused."""
    if expected is None:
        with pytest.raises(ValueError, match="is not a gid"):
            number(gid)
    else:
        assert number(gid) == expected


def test_kind_names_the_type() -> None:
    """A gid names its type; what is no gid names none."""
    assert (kind("gid://shopify/SalesAgreement/1"), kind("SalesAgreement/1")) == ("SalesAgreement", "")

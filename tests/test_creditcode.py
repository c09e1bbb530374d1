"""A credit code is right to the last character, or it is said which one is wrong."""

import pytest
import town as towns

from accounting import creditcode
from accounting.errors import InvalidInput

GB_32100_EXAMPLE = "91350100M000100Y43"


def test_the_codes_of_the_standard_are_right():
    """The standard's own example, and codes made by its table of weights, are accepted."""
    creditcode.check(GB_32100_EXAMPLE)
    for body in ("91510100MA0000000", "12100000400000000", "91510100MAXYWUTRQ"):
        creditcode.check(towns.credit_code(body))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "91350100M000100Y44",
            "credit code 91350100M000100Y44: the check digit is 4, 3 was expected",
        ),
        ("91350100M000100Y4", "17 characters, 18 are expected"),
        ("", "0 characters, 18 are expected"),
        (
            "91350100I000100Y43",
            "character 9 is 'I'; digits and capital letters without I, O, S, V, Z",
        ),
        ("91350100m000100Y43", "character 9 is 'm'"),
        ("9135010０M000100Y4", "17 characters, 18 are expected"),
        ("91350100M000100Y4３", "character 18 is '３'"),
    ],
)
def test_a_wrong_code_says_what_is_wrong(code, message):
    """A code that fails says which character is wrong, and which digit was expected."""
    with pytest.raises(InvalidInput) as caught:
        creditcode.check(code)
    assert message in str(caught.value)


@pytest.mark.parametrize("place", range(17))
def test_every_wrong_character_is_found(place):
    """The check digit finds a wrong character in each of the 17 places before it."""
    body = GB_32100_EXAMPLE
    wrong = body[:place] + ("2" if body[place] != "2" else "3") + body[place + 1 :]
    with pytest.raises(InvalidInput, match="was expected; compare it with the licence"):
        creditcode.check(wrong)

"""YAML that two readers could understand differently is refused, with its place."""

import pytest

from accounting import yamlfile
from accounting.errors import ConfigInvalid


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1.5", 'line 1, column 4: 1.5 would be read as a float; put it in quotes: "1.5"'),
        ("a: .nan", ".nan would be read as a float"),
        ("b: 1\na: 1\nb: 2", "line 3, column 1: key 'b' is given twice"),
        ("1: a", "key '1' is not read as text; put it in quotes"),
        ("? [a]\n: b", "is not read as text"),
        ("a: {<<: {b: 1}}", "key '<<' is not read as text"),
        ("a: yes", "yes could be a boolean; write true or false"),
        ("a: 010", "010 is no plain whole number"),
        ("a: 1:30", "1:30 is no plain whole number"),
        ("a: 1_000", "1_000 is no plain whole number"),
        ("a: &x 1\nb: *x", "line 2, column 4: alias *x is not used here"),
        ("a: &x [*x]", "alias *x is not used here"),
        ("- a", "['a'] stands where a mapping belongs"),
        ("", "nothing stands where a mapping belongs"),
        ("a: 2023-02-30", "cannot be read as YAML: day is out of range"),
        ("a: [", "line 2, column 1"),
        ("a: \0", "cannot be read as YAML"),
        ("a: 1\n---\nb: 2", "line 2, column 1"),
        ("a: " + "[" * 5000, "exceeded maximum nesting depth"),
        ("a: !!python/name:os.system b", "could not determine a constructor"),
    ],
)
def test_ambiguous_yaml_is_refused(text, message):
    """It is refused in one line that begins with the file."""
    with pytest.raises(ConfigInvalid) as caught:
        yamlfile.read(text, "f.yaml")

    assert str(caught.value).startswith("f.yaml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_plain_yaml_is_read():
    """Text, whole numbers, booleans, lists and mappings come out as what they are."""
    text = 'a: "1.5"\nb: -3\nc: true\nd: [x, {y: 0}]\ne: 1e5\nf: null'

    expected = {"a": "1.5", "b": -3, "c": True, "d": ["x", {"y": 0}], "e": "1e5", "f": None}
    assert expected == yamlfile.read(text, "f.yaml")


def test_unknown_key_names_the_nearest():
    """A mistyped key is refused with the one that was meant, another with all that are known."""
    with pytest.raises(ConfigInvalid, match=r"f: a: key 'prize' .* did you mean 'price'\?"):
        yamlfile.only({"prize": 1}, ("price", "from"), "f: a")
    with pytest.raises(ConfigInvalid, match=r"f: a: key 'xyz' is unknown; known: from, price"):
        yamlfile.only({"xyz": 1}, ("price", "from"), "f: a")


def test_kinds_are_exact():
    """True is no number, an instant is no day, and a missing key says what to add."""
    with pytest.raises(ConfigInvalid, match="f: a: True stands where a whole number belongs"):
        yamlfile.need({"a": True}, "a", int, "f")
    with pytest.raises(ConfigInvalid, match="f: key 'a' is missing; add it as a list"):
        yamlfile.need({}, "a", list, "f")


def test_instants():
    """A day begins in its time zone; an instant needs an offset and whole seconds."""
    read = yamlfile.read(
        "a: 2023-07-01\nb: 2023-06-30T16:00:00Z\nc: 2023-07-01 00:00:00\n"
        "d: 2023-06-30T16:00:00.5Z\ne: x",
        "f",
    )

    assert yamlfile.instant(read["a"], "Asia/Shanghai", "f") == 1_688_140_800
    assert yamlfile.instant(read["b"], "Asia/Shanghai", "f") == 1_688_140_800
    for key, message in (("c", "with an offset"), ("d", "whole second"), ("e", "a day such as")):
        with pytest.raises(ConfigInvalid, match=message):
            yamlfile.instant(read[key], "Asia/Shanghai", "f")


def test_places():
    """A place is a file, then keys by dots and list entries by numbers."""
    assert yamlfile.at(yamlfile.at(yamlfile.at("f", "a"), 2), "b") == "f: a[2].b"

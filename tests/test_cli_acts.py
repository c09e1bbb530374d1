"""Keys and acts as commands: drafted here, signed elsewhere, accepted or refused in the book."""

import json

import pytest
import told
from homes import Home, furnished, one_line

from accounting.book import signing


@pytest.fixture
def home(tmp_path) -> Home:
    """A rehearsal book that trusts a regulator's and a treasury's key, both beside it."""
    home = furnished(tmp_path / "home")
    for role in ("regulator", "treasury"):
        home.ok("key", "make", key(home, role), "--actor", role[:4], "--role", role)
        home.ok("key", "trust", f"{key(home, role)}.pub")
    return home


def key(home: Home, name: str) -> str:
    """Return where a key stands."""
    return str(home.path / name)


def signed(home: Home, by: str, *draft: str) -> str:
    """Draft an act and sign it; return its file."""
    home.ok(*draft, "-o", key(home, "draft.json"))
    home.ok("act", "sign", key(home, "draft.json"), "--key", key(home, by), "-o", key(home, "act"))
    return key(home, "act")


def key_id(home: Home, name: str) -> str:
    """Return a key's id."""
    return str(json.loads((home.path / f"{name}.pub").read_text())["key"])


def test_a_key_is_named_by_itself(tmp_path) -> None:
    """What is trusted is said by the key's own id, whatever its file says, or does not."""
    home = furnished(tmp_path / "home")
    home.ok("key", "make", key(home, "regulator"), "--actor", "regu", "--role", "regulator")
    own, path = key_id(home, "regulator"), home.path / "regulator.pub"
    public = json.loads(path.read_text())
    for said in ({"key": "f" * 16}, {}):
        path.write_text(json.dumps({k: v for k, v in public.items() if k != "key"} | said))
        assert home.ok("key", "trust", str(path)) == f"key {own} of regu (regulator) is trusted\n"


def test_a_key_is_replaced_and_its_successor_revoked(home: Home) -> None:
    """key list shows which one is in force after a replacement and a revocation."""
    home.ok("key", "make", key(home, "second"), "--actor", "second", "--role", "regulator")
    first, second = key_id(home, "regulator"), key_id(home, "second")
    act = signed(home, "regulator", "key", "replace", first, f"{key(home, 'second')}.pub")
    assert f"key {second} takes its place" in home.ok("act", "accept", act)
    act = signed(home, "treasury", "key", "revoke", second, "--reason", "lost")
    assert home.ok("act", "accept", act).endswith(": revoked\n")

    shown = json.loads(home.ok("key", "list", "--json"))
    assert [(row["key"], row["state"]) for row in shown] == [
        (first, "replaced"),
        (key_id(home, "treasury"), "in force"),
        (second, "revoked"),
    ]


def test_a_refused_act_is_listed(home: Home) -> None:
    """An act of a wrong signer is refused with exit 1, and key refusals says why."""
    first = key_id(home, "regulator")
    act = signed(home, "regulator", "key", "revoke", first, "--reason", "lost")
    home.ok("act", "accept", act)
    act = signed(home, "regulator", "key", "revoke", key_id(home, "treasury"), "--reason", "x")
    one_line(home.run("act", "accept", act), 1, "was revoked by entry")

    [row] = told.rows("key-refusals", home.ok("key", "refusals", "--json"))
    assert (row["act"], row["subject"]) == ("key.revoke", key_id(home, "treasury"))
    assert "was revoked by entry" in row["why"]


def test_heads_are_kept_outside_and_compared(tmp_path) -> None:
    """audit --sign --anchors puts the day's signed head into a folder, and finds it there again; a
    file that is none, or a head of another book, is named."""
    home = furnished(tmp_path / "home")
    key, kept = tmp_path / "system.key", tmp_path / "kept"
    home.ok("key", "make", str(key), "--actor", "book", "--role", "system")
    home.ok("key", "trust", f"{key}.pub")
    one_line(home.run("audit", "--anchors", str(kept)), 3, "name the folder of the heads")
    words = ("--as-of", "2026-11-02", "audit", "--sign", str(key), "--anchors", str(kept))
    for compared in range(2):
        assert f"0 findings, {compared} kept heads compared" in home.ok(*words)
    [head] = kept.iterdir()
    assert head.name == "2026-11-02.json"
    assert set(json.loads(head.read_text())) == {*signing.HEAD, "signature"}

    other = furnished(tmp_path / "other")
    done = other.run("audit", "--anchors", str(kept), "--json")
    assert done.exit_code == 5
    assert [row["subject"] for row in json.loads(done.stdout)] == ["kept head 2026-11-02.json"]
    head.write_text('{"day": 5}')
    one_line(home.run("audit", "--anchors", str(kept)), 3, "no signed head")

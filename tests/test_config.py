"""slurm_voucher/config.py: a site's settings, each optional and none misread."""

from pathlib import Path

import pytest

from accounting.errors import ConfigInvalid
from slurm_voucher import config
from slurm_voucher.logins import Login


def load(home: Path, text: str) -> config.Config:
    """Load a site's settings from this text."""
    (home / "config.yaml").write_text(text)
    return config.load(home)


@pytest.mark.parametrize("text", [None, "", "\t", "\n# nothing yet\n", "{}"])
def test_everything_is_optional(tmp_path, text) -> None:
    """Without a file, and with an empty one, everything is in its usual place."""
    found = config.load(tmp_path) if text is None else load(tmp_path, text)

    assert found == config.Config(
        home=tmp_path,
        book=f"sqlite:///{tmp_path}/book.db",
        archive=tmp_path / "archive",
        papers=tmp_path / "papers",
        socket="/run/slurm-voucher/hook.sock",
        slurm_uid=0,
        snapshot_s=30,
        default_qos="normal",
        overrun_s=30,
    )


def test_everything_can_be_said(tmp_path) -> None:
    """Each setting is taken as it is written."""
    text = (
        "book: postgresql:///book\narchive: /a\npapers: /p\nsocket: /s\nslurm_uid: 64030\n"
        "snapshot_s: 5\ndefault_qos: gold\nwithout_voucher: refuse\nusers_port: 6899\n"
        "munge_socket: /m\noverrun_s: 60\nuncovered: self_pay\n"
    )

    assert load(tmp_path, text) == config.Config(
        tmp_path, "postgresql:///book", Path("/a"), Path("/p"), "/s", 64030, 5, "gold", "refuse",
        6899, "/m", 60, uncovered="self_pay",
    )  # fmt: skip


def test_logins(tmp_path) -> None:
    """A login has a host and a user; the rest has its usual values, and paths go on from HOME."""
    found = load(
        tmp_path,
        "ssh:\n  chengdu: {host: login1, user: voucher}\n"
        "  mianyang: {host: 10.0.0.1, port: 2222, user: v, key: /k, known_hosts: known,"
        " sacct: /opt/slurm/bin/sacct}\n",
    )

    assert found.ssh == {
        "chengdu": Login("login1", 22, "voucher", None, tmp_path / "known_hosts"),
        "mianyang": Login(
            "10.0.0.1", 2222, "v", Path("/k"), tmp_path / "known", "/opt/slurm/bin/sacct"
        ),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ssh: login1", "ssh: 'login1' stands where a mapping belongs"),
        ("ssh: {a/b: {host: h, user: u}}", "ssh: 'a/b' is no cluster"),
        ("ssh: {c: {user: u}}", "ssh.c: key 'host' is missing"),
        ("ssh: {c: {host: h}}", "ssh.c: key 'user' is missing"),
        ("ssh: {c: {host: h, user: u, password: x}}", "ssh.c: key 'password' is unknown"),
        ("ssh: {c: {host: h, user: u, port: 0}}", "ssh.c.port: 0 is no port"),
        ("ssh: {c: {host: '', user: u}}", "ssh.c.host: '' names nothing"),
        ('ssh: {c: {host: h, user: "u\\n"}}', "ssh.c.user: .* names nothing"),
        ("ssh: {c: {host: h, user: u, key: ''}}", "ssh.c.key: '' names nothing"),
        ("without_voucher: maybe", "without_voucher: 'maybe' is unknown; use self_pay or refuse"),
        ("uncovered: kill", "uncovered: 'kill' is unknown; use wait or self_pay"),
        ("users_port: 70000", "users_port: 70000 is no port"),
        ("overrun_s: -1", "overrun_s: -1 is below zero"),
        ("munge_socket: 5", "munge_socket"),
        ("sockt: /s", "key 'sockt' is unknown; did you mean 'socket'?"),
        ("colour: red", "key 'colour' is unknown; known: archive, book"),
        ("book: 7", "config.yaml: book: 7 stands where text"),
        ("book: null", "config.yaml: book: nothing stands where text"),
        ("slurm_uid: slurm", "slurm_uid: 'slurm' stands where a whole number belongs"),
        ("slurm_uid: true", "slurm_uid: True stands where a whole number belongs"),
        ("slurm_uid: -1", "slurm_uid: -1 is no uid"),
        ("slurm_uid: 4294967295", "slurm_uid: 4294967295 is no uid"),
        ("snapshot_s: 0", "snapshot_s: 0 is not above zero"),
        ("snapshot_s: -5", "snapshot_s: -5 is not above zero"),
        ("snapshot_s: 1.5", "would be read as a float"),
        ("archive: [a]", r"archive: \['a'\] stands where text"),
        ("default_qos: ''", "default_qos: is empty"),
        ("socket: ''", "socket: is empty"),
        ("socket: hook.sock", "socket: 'hook.sock' is no whole path"),
        (f"socket: /{'s' * 103}", "socket: 104 bytes, a socket's path has at most 103; choose"),
        (f"socket: /{'字' * 40}", "socket: 121 bytes"),
        ("socket: /a\nsocket: /b", "is given twice"),
        ("- socket", "stands where a mapping belongs"),
        ("socket: [", "config.yaml: line"),
        ("a: \x07", "cannot be read as YAML"),
    ],
)
def test_refusals(tmp_path, text: str, words: str) -> None:
    """What is not a setting is refused, with file, key, what stands there and what belongs."""
    with pytest.raises(ConfigInvalid, match=words):
        load(tmp_path, text)


def test_longest_socket(tmp_path) -> None:
    """A path of 103 bytes is a socket's."""
    assert len(load(tmp_path, f"socket: /{'s' * 102}").socket) == 103


def test_bytes_that_are_no_text(tmp_path) -> None:
    """A file that is no UTF-8 is refused in words."""
    (tmp_path / "config.yaml").write_bytes(b"book: \xff\n")

    with pytest.raises(ConfigInvalid, match=r"config.yaml: is no UTF-8"):
        config.load(tmp_path)


def test_folder_in_place_of_the_file(tmp_path) -> None:
    """A config.yaml that cannot be read is refused and not taken for a missing one."""
    (tmp_path / "config.yaml").mkdir()

    with pytest.raises(ConfigInvalid, match=r"config.yaml: Is a directory; "):
        config.load(tmp_path)

"""Nodes and when they were out of service, as Slurm tells them: recorded from a real 26.05, where
ai1 was drained idle, ai2 with a job on it, sc1 was down and then drained, sc2 in maintenance."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from fakeslurm import FakeSlurm, recorded
from homes import Home, furnished, one_line

from accounting.errors import UsageInvalid
from accounting.runs import nodes as kept
from accounting.runs.nodes import Alike, Out
from slurm_voucher import config, noting, times
from slurm_voucher.noting import EVERY_S, OVERLAP_S
from slurm_voucher.sources import nodes
from slurm_voucher.sources.nodes import hosts, read_events, read_nodes, read_reservations

TOLD_S = times.epoch_s("2026-11-27T23:10:00", "UTC")
CPUS = {"ai1": 192, "ai2": 192, "sc1": 64, "sc2": 64}
RESERVED = "chengdu|{flags}|{tres}|{nodes}|2026-11-27T20:00:00|2026-11-27T21:00:00|\n"


def at(clock: str) -> int:
    """Return an instant of the recorded evening."""
    return times.epoch_s(f"2026-11-27T{clock}", "UTC")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch) -> FakeSlurm:
    """Slurm's commands on PATH, as recorded."""
    fake = FakeSlurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    return fake


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A rehearsal book."""
    return furnished(tmp_path / "home")


def test_nodes_that_are_alike() -> None:
    """Four nodes in three partitions are three kinds: sc1 is in two partitions, sc2 in one."""
    found, cpus = read_nodes(recorded("nodes.txt"))
    assert found == (
        Alike(("ai1", "ai2"), ("ai", "whole"), {"gpu:ascend_910b": 8}),
        Alike(("sc2",), ("sc",), {"gpu:dcu_z100": 4}),
        Alike(("sc1",), ("sc", "whole"), {"gpu:dcu_z100": 4}),
    )
    assert cpus == CPUS


def test_cards_and_their_parts() -> None:
    """Places are no part of a gres, shards are parts of cards that are there, and no gres at all is
    a node without cards."""
    found, _ = read_nodes("a|x|4|gpu:a:8(S:0-1),shard:a:32(S:0-1),nic:2\nb|x|4|(null)\n")
    assert found == (Alike(("b",), ("x",), {}), Alike(("a",), ("x",), {"gpu:a": 8}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 nodes, 1 is needed"),
        ("a|x|4\n", "line 1"),
        ("a|x|4+|(null)\n", "line 1"),
        ("a|x|4|gpu:a:many\n", "gres"),
        ("a|x|4|gpu:a:8\na|y|4|gpu:a:4\n", "line 2: node a is another one than before"),
    ],
)
def test_what_is_no_list_of_nodes(text: str, said: str) -> None:
    """A list that cannot be read says so by its line; nothing is taken for a smaller cluster."""
    with pytest.raises(UsageInvalid, match=said):
        read_nodes(text)


def test_recorded_events() -> None:
    """A node that drains is out from when its last job has ended; down and drained at once is down;
    one that is drained in a maintenance is in maintenance; what is open has lasted until now."""
    assert list(read_events(recorded("events.txt"), "chengdu", TOLD_S)) == [
        Out("ai1", "drained", at("23:01:10"), at("23:01:21")),
        Out("sc1", "down", at("23:01:13"), at("23:01:17")),
        Out("sc1", "down", at("23:01:17"), at("23:01:21")),
        Out("ai2", "drained", at("23:01:35"), at("23:02:13")),
        Out("sc2", "drained", at("23:02:16"), at("23:02:17")),
        Out("sc2", "maintenance", at("23:02:17"), TOLD_S),
    ]


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (2 | 0x1000, None),  # IDLE+POWERED_DOWN
        (2 | 0x40000, None),  # IDLE+POWERING_DOWN
        (2 | 0x1000 | 0x200, "drained"),
        (1 | 0x1000, "down"),
        (2 | 0x2000, "down"),  # IDLE+FAIL
        (2 | 0x2000 | 0x1000, "down"),
        (2 | 0x2000 | 0x200, "down"),
        (0, "down"),  # UNKNOWN
        (4, "down"),  # ERROR
        (6, "down"),  # FUTURE
        (2, "down"),  # taken out for a reason that nobody named
        (3 | 0x200, "drained"),  # ALLOCATED+DRAIN
        (1 | 0x8000, "maintenance"),
    ],
)
def test_states(state: int, why: str | None) -> None:
    """A node that saves power is there for jobs; whatever else slurmctld took out is out."""
    text = f"chengdu|ai1|{state}|2026-11-27T20:00:00|2026-11-27T21:00:00|\n"
    assert [out.why for out in read_events(text, "chengdu", TOLD_S)] == ([why] if why else [])


def test_recorded_reservations() -> None:
    """Whole nodes are reserved, or in maintenance; 4 of sc1's 64 processors take nothing out. One
    that was changed is two; what lies ahead is cut off."""
    found = read_reservations(recorded("reservations.txt"), "chengdu", CPUS, TOLD_S)
    assert list(found) == [
        Out("sc2", "maintenance", at("23:01:17"), at("23:02:13")),
        Out("ai1", "reserved", at("23:02:05"), at("23:02:10")),
        Out("ai2", "reserved", at("23:02:05"), at("23:02:10")),
        Out("ai1", "reserved", at("23:02:10"), TOLD_S),
        Out("sc2", "maintenance", at("23:02:16"), TOLD_S),
    ]


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 1),
        ({"nodes": ""}, 0),  # licences alone
        ({"tres": ""}, 0),  # cards alone
        ({"tres": "cpu=191"}, 0),
        ({"nodes": "ai[1-2]"}, 0),
        ({"nodes": "ai[1-2]", "tres": "cpu=384,gres/gpu=16"}, 2),
    ],
)
def test_reservations_of_a_part(changes: Mapping[str, str], count: int) -> None:
    """What reserves fewer processors than its nodes have leaves the nodes to others."""
    row = RESERVED.format(**{"flags": "", "tres": "cpu=192", "nodes": "ai1"} | changes)
    assert len(list(read_reservations(row, "chengdu", CPUS, TOLD_S))) == count


@pytest.mark.parametrize(
    "text",
    [
        "chengdu|ai1|514|2026-11-27T23:01:10|2026-11-27T23:01:21\n",  # cut off
        "chengdu|ai1|514|2026-11-27T23:01:10|2026-11-27T23:0",
        "elsewhere|ai1|514|2026-11-27T23:01:10|Unknown|\n",
        "chengdu|ai1|DRAIN|2026-11-27T23:01:10|Unknown|\n",
        "chengdu|ai1|514|yesterday|Unknown|\n",
        "chengdu|ai1|514|2026-11-27T23:01:10|9999-01-01T00:00:00|\n",
        "chengdu|ai1|514|2026-11-27T23:01:10|Unknown|x|\n",
        "chengdu|ai1|514|2026-11-27T23:01:10|Unknown|x\n",
        "\n",
    ],
)
def test_what_is_no_event(text: str) -> None:
    """Half a row, another cluster's or an odd time is refused: it would be an outage too few."""
    with pytest.raises(UsageInvalid, match="sacctmgr: "):
        list(read_events(text, "chengdu", TOLD_S))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("ai1", ["ai1"]),
        ("ai[1-2,07],sc1", ["ai1", "ai2", "ai07", "sc1"]),
        ("n[08-11]x", ["n08x", "n09x", "n10x", "n11x"]),
        ("r[1-2]n[0-1],s", ["r1n0", "r1n1", "r2n0", "r2n1", "s"]),
    ],
)
def test_lists_of_nodes(text: str, names: list[str]) -> None:
    """Numbers are as wide as they are written, and brackets multiply."""
    assert hosts(text) == names


@pytest.mark.parametrize(
    "text", ["n[1-", "n1]", "n[]", "n[a-b]", "n[2-1]", "n[1-999999999]", "a[0-999]b[0-999]"]
)
def test_what_is_no_list(text: str) -> None:
    """What is no list, or would fill the memory, is refused."""
    with pytest.raises(UsageInvalid, match="nodes: "):
        hosts(text)


def test_a_note_by_command(home: Home, slurm: FakeSlurm) -> None:
    """Nodes are noted, and how many there are is said; another cluster's are refused, and nothing
    is kept of what cannot be read or does not answer."""
    said = home.ok("collect", "--cluster", "chengdu", "--nodes", "--since", "2026-11-01")
    assert said.startswith("4 nodes with 24 cards noted, so since 2026-11-01T00:00:00+08:00; ")
    [note] = kept.notes(home.path / "archive", "chengdu")
    assert note.held_from_s == note.told_from_s == times.epoch_s("2026-10-31T16:00:00", "UTC")
    one_line(home.run("collect", "--cluster", "other", "--nodes"), 3, "cluster chengdu, other is")
    slurm.says("events.txt", "chengdu|ai1|514|2026-11-27T23:0")
    one_line(home.run("collect", "--cluster", "chengdu", "--nodes"), 3, "events: line 1")
    slurm.fails("sacctmgr")
    one_line(home.run("collect", "--cluster", "chengdu", "--nodes"), 4, "sacctmgr: slurm_load")
    slurm.heal()
    ahead = home.run("collect", "--cluster", "chengdu", "--nodes", "--since", "2099-01-01")
    one_line(ahead, 3, "lies ahead")
    both = home.run("collect", "--cluster", "chengdu", "--nodes", "--skip-bad")
    assert both.exit_code == 2
    assert len(kept.files(home.path / "archive")) == 1
    assert not list((home.path / "archive").rglob("*.partial"))


def test_what_a_note_asks_for(home: Home, slurm: FakeSlurm) -> None:
    """The first note tells of the day before it, each next one from a day before the last one on,
    and it is due after some hours, or where the clock was put back."""
    (slurm.folder / "sacctmgr").write_text(
        f'#!/bin/sh\ncd {slurm.folder}\necho "$*" >> asked.txt\n'
    )
    site = config.load(home.path)
    assert noting.is_due(site, "chengdu", TOLD_S)
    noting.note(site, "chengdu", TOLD_S)
    assert not noting.is_due(site, "chengdu", TOLD_S + EVERY_S - 1)
    assert noting.is_due(site, "chengdu", TOLD_S + EVERY_S)
    assert noting.is_due(site, "chengdu", TOLD_S - 1)
    then = noting.note(site, "chengdu", TOLD_S + EVERY_S)
    assert (then.told_from_s, then.held_from_s) == (TOLD_S - OVERLAP_S, TOLD_S + EVERY_S)
    asked = (slurm.folder / "asked.txt").read_text().splitlines()
    assert "list events event=node clusters=chengdu start=2026-11-26T23:10:00" in asked[0]
    assert "end=2026-11-27T23:10:00 format=Cluster,NodeName,StateRaw,TimeStart,TimeEnd" in asked[0]
    assert "start=2026-11-26T23:10:00 end=2026-11-28T05:10:00 format=Cluster,Flags" in asked[3]


def test_over_ssh_the_login_node_is_asked(slurm: FakeSlurm, monkeypatch) -> None:
    """All commands go where the cluster's sacct is asked."""
    asked: list[str] = []

    def answer(words: list[str], login: object) -> str:
        asked.append(f"{login} {words[0]}")
        words = ["sh", "-c", f'PATH={slurm.folder}:/usr/bin:/bin; exec "$@"', "sh", *words]
        return nodes_answer(words, None)

    nodes_answer = nodes.commands.answer
    monkeypatch.setattr(nodes.commands, "answer", answer)
    nodes.note("chengdu", 0, TOLD_S, TOLD_S, "login1")  # type: ignore[arg-type]
    assert asked == [f"login1 {name}" for name in ("scontrol", "sinfo", "sacctmgr", "sacctmgr")]


def test_notes_come_along_in_a_backup(home: Home, slurm: FakeSlurm, tmp_path: Path) -> None:
    """What slurmctld keeps no history of is in the backup, and back after a restore."""
    home.ok("collect", "--cluster", "chengdu", "--nodes")
    [path] = kept.files(home.path / "archive")
    home.ok("backup", str(tmp_path / "saved"))
    again = Home(tmp_path / "again")
    again.ok("restore", str(tmp_path / "saved"))
    assert (again.path / "archive" / path).read_bytes() == (
        home.path / "archive" / path
    ).read_bytes()

"""What there was of nodes and cards, second by second: each case is worked out by hand."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting import period
from accounting.errors import InvariantBroken
from accounting.runs import capacity, nodes
from accounting.runs.capacity import GAP_S, NODE, Stretch
from accounting.runs.nodes import WHYS, Alike, Note, Out

H = 3_600
DAY = 24 * H
AI = Alike(("ai1",), ("ai",), {"gpu:a": 8})


def note(
    at_s: int,
    *alike: Alike,
    out: Sequence[Out] = (),
    told_from_s: int = 0,
    held_from_s: int | None = None,
) -> Note:
    """Note nodes at an instant; without any, ai1 with its 8 cards."""
    held = at_s if held_from_s is None else held_from_s
    return Note(at_s, told_from_s, held, alike or (AI,), tuple(out))


def hours(
    notes: Sequence[Note], *edges_h: int, gres: str = "gpu:a", partition: str = "ai"
) -> list[Mapping[str, float]]:
    """Return hours by reason in each period; '' is all of them."""
    found = capacity.by_period(notes, [h * H for h in edges_h])
    return [
        {
            why: sum(
                own
                for (partitions, kind, reason), own in each.seconds.items()
                if (kind, reason) == (gres, why) and partition in partitions
            )
            / H
            for why in ("", *WHYS)
            if any(reason == why for _, _, reason in each.seconds)
        }
        for each in found
    ]


def known(notes: Sequence[Note], *edges_h: int) -> list[float]:
    """Return of how many hours of each period the nodes are known."""
    return [each.known_s / H for each in capacity.by_period(notes, [edge * H for edge in edges_h])]


def test_down_and_drained_at_a_time() -> None:
    """8 cards for 24 hours are 192; down from 6 to 18, drained from 12 to 24: 96 down and 48
    drained, for each hour has one reason, and down comes first."""
    out = [Out("ai1", "drained", 12 * H, 24 * H), Out("ai1", "down", 6 * H, 18 * H)]
    notes = [note(0), note(DAY, out=out)]
    assert hours(notes, 0, 24) == [{"": 192, "down": 96, "drained": 48}]
    assert hours(notes, 0, 24, gres=NODE) == [{"": 24, "down": 12, "drained": 6}]


def test_planned_comes_before_failed() -> None:
    """Down from 0 to 10 and in maintenance from 4 to 6, all of it reserved: 8 hours down, 2 in
    maintenance, 14 reserved."""
    out = [
        Out("ai1", "reserved", 0, 24 * H),
        Out("ai1", "down", 0, 10 * H),
        Out("ai1", "maintenance", 4 * H, 6 * H),
    ]
    found = hours([note(0), note(DAY, out=out)], 0, 24, gres=NODE)
    assert found == [{"": 24, "maintenance": 2, "down": 8, "reserved": 14}]


def test_cut_by_the_period() -> None:
    """Down from 20:00 to 4:00 is 4 hours of each day, and nothing of the third."""
    out = [Out("ai1", "down", 20 * H, 28 * H)]
    notes = [note(0), note(3 * DAY, out=out)]
    assert hours(notes, 0, 24, 48, 72, gres=NODE) == [
        {"": 24, "down": 4},
        {"": 24, "down": 4},
        {"": 24},
    ]


def test_an_outage_that_goes_on() -> None:
    """Noted at 24:00 as still going on, it has lasted until then; the next note tells that it ended
    at 30:00, and the one before is not counted once more."""
    first = note(DAY, out=[Out("ai1", "down", 20 * H, DAY)])
    then = note(2 * DAY, out=[Out("ai1", "down", 20 * H, 30 * H)], told_from_s=12 * H)
    assert hours([note(0), first], 0, 48, gres=NODE) == [{"": 24, "down": 4}]
    assert hours([note(0), first, then], 0, 48, gres=NODE) == [{"": 48, "down": 10}]


def test_what_a_later_note_does_not_say_any_more() -> None:
    """A reservation that was taken back is gone for as far back as the later note tells: from 12:00
    on; the 4 hours before stay."""
    first = note(DAY, out=[Out("ai1", "reserved", 8 * H, DAY)])
    then = note(2 * DAY, told_from_s=12 * H)
    assert hours([note(0), first, then], 0, 48, gres=NODE) == [{"": 48, "reserved": 4}]


def test_an_outage_that_began_before_it_is_told() -> None:
    """What a note says of the time before it tells is not taken: it may be half of it."""
    one = note(DAY, out=[Out("ai1", "down", 2 * H, 20 * H)], told_from_s=12 * H)
    assert hours([note(0), one], 0, 24, gres=NODE) == [{"": 24, "down": 8}]


def test_a_node_that_grows() -> None:
    """4 cards up to the note at 24:00, 8 from then on."""
    small = Alike(("ai1",), ("ai",), {"gpu:a": 4})
    notes = [note(0, small), note(DAY), note(2 * DAY)]
    assert hours(notes, 0, 24, 48) == [{"": 96}, {"": 192}]
    assert hours(notes, 0, 24, 48, gres=NODE) == [{"": 24}, {"": 24}]


def test_a_partition_whose_nodes_change() -> None:
    """ai2 comes on the second day, and ai1 leaves the partition on the third."""
    both = Alike(("ai1", "ai2"), ("ai",), {"gpu:a": 8})
    apart = [Alike(("ai2",), ("ai",), {"gpu:a": 8}), Alike(("ai1",), ("old",), {"gpu:a": 8})]
    notes = [note(0), note(DAY, both), note(2 * DAY, *apart), note(3 * DAY, *apart)]
    assert hours(notes, 0, 24, 48, 72) == [{"": 192}, {"": 384}, {"": 192}]
    assert hours(notes, 0, 24, 48, 72, partition="old") == [{"": 0}, {"": 0}, {"": 192}]


def test_a_node_in_two_partitions() -> None:
    """It is in each of them, and once in all."""
    shared = Alike(("ai1",), ("ai", "debug"), {"gpu:a": 8})
    notes = [note(0, shared), note(DAY, shared, out=[Out("ai1", "down", 0, H)])]
    for partition in ("ai", "debug"):
        assert hours(notes, 0, 24, partition=partition) == [{"": 192, "down": 8}]
    [all_] = capacity.by_period(notes, [0, DAY])
    parts = {(gres, why): own / H for (_, gres, why), own in all_.seconds.items()}
    assert parts == {
        (NODE, ""): 24, ("gpu:a", ""): 192, (NODE, "down"): 1, ("gpu:a", "down"): 8,
    }  # fmt: skip


def test_nothing_is_known_before_the_first_note_and_after_the_last() -> None:
    """Of six days that the notes of the third and the fourth midnight tell, one is known."""
    notes = [note(3 * DAY), note(4 * DAY)]
    assert known(notes, 0, 48, 72, 96, 120, 144) == [0, 0, 24, 0, 0]
    assert known([note(DAY)], 0, 48) == [0]
    assert known([], 0, 24) == [0]


def test_a_silence_in_which_something_changed() -> None:
    """Two notes that say the same tell all of the week between them; of two that differ nobody
    knows when it changed. A day and two hours between them are no silence."""
    other = Alike(("ai1",), ("ai",), {"gpu:a": 4})
    assert known([note(0), note(7 * DAY)], 0, 168) == [168]
    assert known([note(0), note(7 * DAY, other), note(8 * DAY, other)], 0, 168, 192) == [0, 24]
    assert capacity.stretches([note(0), note(GAP_S, other)]) == [Stretch(0, GAP_S, (AI,))]
    assert capacity.stretches([note(0), note(GAP_S + 1, other)]) == []


def test_somebodys_word() -> None:
    """By the operator's word of day 10 the nodes had been so since day 2; what notes tell counts
    for more: on days 4 and 5 there were 4 cards."""
    small = Alike(("ai1",), ("ai",), {"gpu:a": 4})
    word = note(10 * DAY, held_from_s=2 * DAY)
    notes = [note(4 * DAY, small), note(6 * DAY, small), word]
    assert capacity.stretches(notes) == [
        Stretch(2 * DAY, 4 * DAY, (AI,)),
        Stretch(4 * DAY, 6 * DAY, (small,)),
        Stretch(6 * DAY, 10 * DAY, (AI,)),
    ]


def test_a_clock_that_goes_back() -> None:
    """A day on which summer time ends has 25 hours, and an outage of its repeated hour is 2 hours
    from 2:00 to 2:59:59 on the wall."""
    begin_s, end_s = period.bounds("2024-10-27", "Europe/Berlin")
    out = [Out("ai1", "down", begin_s + 2 * H, begin_s + 4 * H)]
    notes = [note(begin_s - DAY), note(end_s + DAY, out=out)]
    [day] = capacity.by_period(notes, [begin_s, end_s])
    assert day.known_s == 25 * H
    assert day.seconds[("ai",), "gpu:a", ""] == 25 * 8 * H
    assert day.seconds[("ai",), "gpu:a", "down"] == 2 * 8 * H


def test_a_node_that_is_not_there_is_not_out() -> None:
    """An outage of a node that no note knows, or of one that came later, takes nothing off."""
    out = [Out("ai9", "down", 0, DAY), Out("ai2", "down", 0, 2 * DAY)]
    both = Alike(("ai1", "ai2"), ("ai",), {"gpu:a": 8})
    notes = [note(0), note(DAY, both, out=out), note(2 * DAY, both, out=out)]
    assert hours(notes, 0, 24, 48, gres=NODE) == [{"": 24}, {"": 48, "down": 24}]


OUTS = st.lists(
    st.tuples(st.sampled_from(WHYS), st.integers(0, 99), st.integers(0, 99)).map(
        lambda t: Out("ai1", t[0], min(t[1:]), max(t[1:]))
    ),
    max_size=6,
)


@given(OUTS, st.lists(st.integers(1, 98), max_size=4, unique=True), st.lists(st.integers(1, 98)))
def test_each_second_is_counted_once(
    out: Sequence[Out], cuts: Sequence[int], notes_at: Sequence[int]
) -> None:
    """However time is cut, and however many notes tell the same: each second that any reason takes
    off is taken off once, for the first reason that holds."""
    notes = [note(at, out=out) for at in sorted({0, 99, *notes_at})]
    edges = [0, *sorted(cuts), 99]

    def reason(second: int) -> str | None:
        whys = {each.why for each in out if each.begin_s <= second < each.end_s}
        return next((why for why in WHYS if why in whys), None)

    for each, (begin_s, end_s) in zip(
        capacity.by_period(notes, edges), pairwise(edges), strict=True
    ):
        wanted = Counter(reason(second) for second in range(begin_s, end_s))
        assert {why: each.seconds[("ai",), NODE, why] for why in WHYS} == {
            why: wanted[why] for why in WHYS
        }
        assert each.known_s == each.seconds[("ai",), NODE, ""] == end_s - begin_s


def test_notes_are_files_beside_the_runs(tmp_path: Path) -> None:
    """A note is kept under its instant, once, and read back as it was, in the order of time."""
    first, then = note(DAY, out=[Out("ai1", "down", H, 2 * H)]), note(2 * DAY, held_from_s=DAY)
    path = nodes.keep(tmp_path, "chengdu", then)
    assert path == "nodes/cluster=chengdu/19700103T000000Z.json"
    nodes.keep(tmp_path, "chengdu", first)
    nodes.keep(tmp_path, "chengdu", first)
    nodes.keep(tmp_path, "other", first)
    assert nodes.notes(tmp_path, "chengdu") == [first, then]
    assert nodes.latest(tmp_path, "chengdu") == then
    assert (nodes.latest(tmp_path, "none"), nodes.notes(tmp_path, "none")) == (None, [])
    assert len(nodes.files(tmp_path)) == 3
    with pytest.raises(ValueError, match="is no name of a cluster"):
        nodes.keep(tmp_path, "../x", first)


@pytest.mark.parametrize(
    "text", ["", "{", '{"at_s":1}', '{"at_s":1,"told_from_s":1,"held_from_s":1,"nodes":[],"out":'
             '[{"node":"a","why":"tired","begin_s":1,"end_s":2}]}']
)  # fmt: skip
def test_a_note_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    """Half a note, or one of another form, is named; it is not taken for one that says nothing."""
    path = nodes.keep(tmp_path, "chengdu", note(DAY))
    (tmp_path / path).write_text(text)
    with pytest.raises(InvariantBroken, match=r"19700102T000000Z\.json cannot be read"):
        nodes.notes(tmp_path, "chengdu")

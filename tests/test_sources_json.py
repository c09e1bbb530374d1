"""slurm_voucher/sources/json_jobs.py: jobs of sacct --json are the runs that its text would be."""

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from homes import Home, furnished
from hypothesis import given
from hypothesis import strategies as st
from runs import DATA, a_run
from test_sources_sacct import ROW
from test_sources_sacct import read as read_text

from accounting.errors import UsageInvalid
from accounting.rates import basis, tariff
from accounting.runs import usage
from accounting.runs.run import Run
from slurm_voucher.sources import BadRow, json_items, json_jobs

JOB: dict[str, Any] = {
    "account": "lab",
    "allocation_nodes": 1,
    "array": {"job_id": 16, "task_id": {"set": True, "infinite": False, "number": 2}, "task": ""},
    "cluster": "chengdu",
    "comment": {"administrator": ROW["AdminComment"], "job": "{[", "system": 'a "b" \\'},
    "het": {"job_id": 0, "job_offset": {"set": False, "infinite": False, "number": 0}},
    "job_id": 16,
    "nodes": "ai1",
    "partition": "ai",
    "qos": "normal",
    "required": {"CPUs": 24},
    "state": {"current": ["COMPLETED"], "reason": "None"},
    "steps": [{"step": {"id": "16.batch"}, "tres": {"allocated": []}}],
    "submit_line": "sbatch -p ai train.sh",
    "time": {"elapsed": 3600, "submission": 1720000000, "start": 1720000100, "end": 1720003700,
             "suspended": 0},
    "tres": {
        "allocated": [
            {"type": "cpu", "name": "", "id": 1, "count": 24},
            {"type": "mem", "name": "", "id": 2, "count": 128000},
            {"type": "energy", "name": "", "id": 3, "count": -2},
            {"type": "gres", "name": "gpu:ascend_910b", "id": 1001, "count": 2},
            {"type": "gres", "name": "gpu", "id": 1002, "count": 2},
        ],
        "requested": [{"type": "gres", "name": "gpu:ascend_910b", "id": 1001, "count": 2}],
    },
    "user": "li",
}  # fmt: skip
"""The job that says what `a_run()` is, but for its uid, of which JSON says nothing."""
PRICES = """
tariff: hpc-1
chips: 2024-07
timezone: Asia/Shanghai
clusters:
  hpc:
    partitions:
      "*":
        provider: p
        gres: {{"gpu:a": ascend_910b2}}
        prices: [{{from: 2020-01-01, {unit}: "1.00"}}]
"""


def changed(**changes: Any) -> dict[str, Any]:
    """Return that job with changes; those of an object are put into it."""
    job = json.loads(json.dumps(JOB))
    for name, value in changes.items():
        job[name] = job[name] | value if isinstance(value, dict) else value
    return job


def answer(*jobs: dict[str, Any], **more: Any) -> bytes:
    """Write an answer with jobs."""
    return json.dumps({"meta": {"a": [1, {"jobs": []}]}, "jobs": jobs, **more}).encode()


def read(
    text: bytes, *, cuts: Sequence[int] = (), skipped: Counter[str] | None = None
) -> tuple[list[Run], list[BadRow]]:
    """Read an answer that comes in pieces."""
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    blocks = [text[low:high] for low, high in pairwise(edges)]
    runs, bad = [], []
    for found in json_jobs.tables(blocks, cluster=None, source="x", skipped=skipped):
        if isinstance(found, BadRow):
            bad.append(found)
        else:
            assert found.schema == usage.USAGE
            runs += usage.runs(found)
    return runs, bad


def the(**changes: Any) -> Run:
    """Read one changed job."""
    [run], bad = read(answer(changed(**changes)))
    assert not bad
    return run


def recorded() -> Iterator[tuple[str, bytes]]:
    """Yield what slurmrestd answered, by the name of the file."""
    with tarfile.open(DATA / "slurmrestd.tar.xz") as files:
        for member in files:
            file = files.extractfile(member)
            if file:
                yield member.name, file.read()


def test_a_job_is_a_run() -> None:
    """A job of JSON is the run that its row of text is; what JSON does not say is the uid."""
    assert read(answer(JOB)) == ([a_run(uid=None)], [])
    assert read_text({"UID": ""}) == [a_run(uid=None)]


@given(st.lists(st.integers(0, 10**6), max_size=12))
def test_pieces_of_any_size(cuts: list[int]) -> None:
    """However the text comes cut, the jobs in it are the same."""
    text = answer(JOB, changed(job_id=17), changed(job_id="x"), changed(job_id=18))
    runs, [bad] = read(text, cuts=cuts)

    assert [run.job_id for run in runs] == [16, 17, 18]
    assert str(bad).startswith("x: job 3: the job cannot be read: Expected `int`, got `str`")


def test_what_slurmrestd_answered() -> None:
    """Of 101 jobs of three releases and three data_parsers 35 have ended, each is a run, and the
    15 of these that asked for GPUs, which that site does not track, say so."""
    skipped, runs, asked, files = Counter[str](), [], 0, 0
    for name, text in recorded():
        found, bad = read(text, skipped=skipped)
        assert not bad, name
        runs += found
        files += 1
        for job in json.loads(text)["jobs"]:
            on_cards = re.search(r"--g(pus|res)\b", job["submit_line"])
            asked += bool(on_cards and job["time"]["end"])
    with_cards = [run for run in runs if run.req_gres]

    assert (files, len(runs), skipped) == (108, 35, {"live": 66})
    assert len(with_cards) == asked == 15
    assert {run.req_gres for run in with_cards} == {"gpu=1", "gpu=4", "gpu=6", "gpu=8"}
    assert {(run.cards, run.gres) for run in runs} == {(0, "")}
    assert {run.cluster for run in runs} == {"hpc"}
    assert all(run.start_s is not None and run.elapsed_s == run.end_s - run.start_s for run in runs)


@pytest.mark.parametrize("unit", ["yuan_per_pflops_hour", "yuan_per_core_hour"])
def test_cards_that_are_not_tracked_are_never_zero(unit: str) -> None:
    """A job that asked for GPUs and has none in its allocation is unrated, by card and core."""
    prices = tariff.load(PRICES.format(unit=unit), "prices")
    for _, text in recorded():
        for run in read(text)[0]:
            given = (run.gres, run.req_gres, run.cards, run.cpus, run.nodes, run.mem_mb)
            kind = basis.Kind(run.cluster, run.partition, run.qos, *given)
            problems = {step.problem for step in basis.basis(prices, kind).steps}
            if run.req_gres:
                assert all("was asked for and is not in the allocation" in p for p in problems)


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("sbatch a.sh", ""),
        ("sbatch --gpus 4", "gpu=4"),
        ("sbatch --gpus=h100:1,a100:2 x", "gpu:a100=2,gpu:h100=1"),
        ("srun -G4 x", "gpu=4"),
        ("srun -G h100:2", "gpu:h100=2"),
        ("sbatch --gpus-per-node 1 --nodes 2", "gpu=1"),
        ("sbatch --gpus-per-task=2", "gpu=2"),
        ("sbatch --gres dcu:z100:4,lustre:1", "dcu:z100=4"),
        ("sbatch --gres=gpu", "gpu=1"),
        ("sbatch --gres=none", ""),
        ("sbatch --gpus 0", ""),
        ("sbatch --tres-per-task cpu=4,gres/gpu:a=1", "gpu:a=1"),
        ("sbatch --gpus 4 --gpus-per-node=4", "gpu=4"),
        ("sbatch --gpus=$N", "gpu=1"),
        ("sbatch --gpu-bind=none --gpu-freq=high", ""),
        (None, ""),
    ],
)
def test_submit_lines(line: str | None, asked: str) -> None:
    """What a submit line asks for is found where the request itself names no card."""
    tres = {"requested": [{"type": "cpu", "name": "", "id": 1, "count": 1}]}

    assert the(submit_line=line, tres=tres).req_gres == asked
    assert the(submit_line=line).req_gres == "gpu:ascend_910b=2"


@pytest.mark.parametrize(
    ("current", "state"),
    [
        (["COMPLETED"], "COMPLETED"),
        ("FAILED", "FAILED"),
        (["NODE_FAIL", "REQUEUED"], "REQUEUED"),
        (["RUNNING", "RESIZING"], "RESIZING"),
        (["CANCELLED", "TELEPORTED"], "CANCELLED+TELEPORTED"),
        (["REVOKED"], "REVOKED"),
    ],
)
def test_states(current: Any, state: str) -> None:
    """A state with flags is the word that sacct would say; what nobody named is kept."""
    assert the(state={"current": current}).state == state


def test_jobs_that_are_no_runs() -> None:
    """Jobs that go on, or have no end, are skipped and counted; steps never count."""
    skipped: Counter[str] = Counter()
    live = [
        changed(state={"current": current})
        for current in (["RUNNING"], ["COMPLETED", "COMPLETING"])
    ]
    none = [changed(time={"end": 0}), changed(time={"end": {"set": False, "number": 9}})]

    assert read(answer(*live, *none), skipped=skipped) == ([], [])
    assert skipped == {"live": 2, "no end": 2}


def test_names_of_jobs() -> None:
    """Arrays, their tasks that were never split, and parts of het jobs are named as by sacct."""
    one = {"set": True, "infinite": False, "number": 1}
    unset = {"set": False, "infinite": False, "number": 0}

    assert the().job == "16_2"
    assert the(job_id=17, array={"job_id": 0}).job == "17"
    assert the(array={"task_id": unset, "task": "3-5%2"}).job == "16_[3-5%2]"
    assert the(array={"job_id": 0}, het={"job_id": 15, "job_offset": one}).job == "15+1"


def test_numbers_as_objects() -> None:
    """A number may be plain or {set, infinite, number}; one that is infinite is no figure."""
    number = {"set": True, "infinite": False, "number": 1720000100}
    started = the(time={"start": number, "suspended": {"set": True, "number": 0}})
    never = the(time={"start": {"set": False, "number": 7}, "elapsed": 0})
    _, [bad] = read(answer(changed(time={"end": {"set": True, "infinite": True, "number": 0}})))

    assert started.start_s == 1720000100
    assert never.start_s is None
    assert (bad.column, bad.value) == ("End", "infinite")


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"time": {"elapsed": -1}}, "ElapsedRaw", "is no whole number"),
        ({"time": {"suspended": 90061}}, "ElapsedRaw", "is not the 3600 s from Start to End less"),
        ({"time": {"suspended": -1}}, "Suspended", "is no duration"),
        ({"time": {"end": 1720000000}}, "End", "is before Start"),
        ({"time": {"start": 1.5}}, "", "Expected"),
        ({"cluster": "../etc"}, "Cluster", "cannot be of a cluster of that name"),
        ({"tres": {"allocated": []}}, "AllocTRES", "does not say what a run of 3600 s had"),
        (
            {"tres": {"allocated": [{"type": "gres", "name": "gpu", "count": -2}]}},
            "AllocTRES",
            "-2",
        ),
        ({"comment": {"administrator": "voucher=a voucher=b"}}, "AdminComment", "two things"),
        ({"user": None}, "", "Expected `str`, got `null` - at `$.user`"),
        ({"job_id": 2**70}, "JobIDRaw", "is no whole number"),
        ({"user": "a\0"}, "", "holds a NUL byte"),
        ({"user": "a" * 65_536}, "", "at most 65536 can be"),
    ],
)
def test_bad_jobs_are_named(changes: dict[str, Any], column: str, reason: str) -> None:
    """A job that Slurm cannot have meant is named with its number and column; no other is lost."""
    runs, [bad] = read(answer(JOB, changed(**changes), JOB))

    assert len(runs) == 2
    assert (bad.line, bad.column, bad.kind) == (2, column, "job")
    assert reason in bad.reason


def test_what_slurm_complained_about() -> None:
    """An answer with errors may lack jobs: it is listed, and so nothing is taken in unseen."""
    runs, [bad] = read(answer(JOB, errors=[{"error": "slurmdbd went away"}], warnings=[{"a": 1}]))

    assert len(runs) == 1
    assert "slurmdbd went away" in bad.value
    assert "jobs may be missing" in str(bad)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (answer(JOB)[:-3], "does not end as it should"),
        (answer(JOB)[:600], "does not end as it should"),
        (answer(JOB)[:-1] + b',"warnings":["', "does not end as it should"),
        (b"{}", "has no list of jobs"),
        (b'{"meta":{},"errors":[]}', "has no list of jobs"),
        (b'{"\\"jobs":[]}', "has no list of jobs"),
        (b'{"jobs":[1]}', "jobs has '1', and not only objects"),
        (b'{"jobs":[{},1]}', "jobs has ',1', and not only objects"),
        (b'{"jobs":[{}{}]}', "jobs has no comma, and not only objects"),
        (b'{"jobs":[{},]}', "jobs has ','"),
        (b'{"jobs":null}', "has no list of jobs"),
        (answer() + answer(), "is no single object of JSON"),
        (answer() + b"x", "does not end as it should"),
        (b"}", "is no single object"),
        (b"[{}]", "is no single object"),
        (b"", "does not end as it should"),
    ],
)
def test_what_is_no_answer(text: bytes, words: str) -> None:
    """A file that is cut, doubled or something else is refused and not half read."""
    with pytest.raises(UsageInvalid, match=words):
        read(text)


def test_nested_without_end() -> None:
    """What is nested deeper than anything of Slurm is refused, and no crash."""
    deep = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(UsageInvalid, match="nested more than 100 deep"):
        read(answer(JOB).replace(b'"16.batch"', deep))


def test_a_job_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job, and a text, that go on beyond any bound are refused; little of them is kept."""
    monkeypatch.setattr(json_items, "ITEM_BYTES", 100_000)
    block = b"x" * 50_000
    for begin in (b'{"jobs":[{"name":"', b'{"jobs":[{"a":[1,', b'{"meta":"', b'{"jobs":'):
        given = iter([begin, *[block] * 10])
        with pytest.raises(UsageInvalid, match="more than 100000 bytes; is it JSON"):
            list(json_jobs.tables(given, source="x"))
        assert len(list(given)) >= 6


def test_import_of_json(tmp_path) -> None:
    """svoucher import tells JSON by what it is, says what it lacks, and takes it in once."""
    home: Home = furnished(tmp_path / "home")
    file = tmp_path / "jobs.txt"
    file.write_bytes(answer(JOB, changed(job_id=17, state={"current": ["RUNNING"]})))
    done = home.run("import", str(file))

    assert done.exit_code == 0, done.output
    assert (
        done.stderr
        == f"svoucher: {file} has no UID (who ran it, by number); its runs come without\n"
    )
    assert "1 runs read: 1 new" in done.stdout
    assert "1 rows are no runs: live" in done.stdout
    assert "1 runs read: 0 new, 0 changed, 1 known" in home.ok("import", str(file))
    file.write_bytes(answer(JOB, changed(user=None)))
    done = home.run("import", str(file))
    assert done.exit_code == 3
    assert "jobs.txt: job 2: the job cannot be read" in done.stderr

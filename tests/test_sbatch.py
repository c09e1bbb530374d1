"""slurm_voucher/cli/sbatch.py: what a job asks for, read as sbatch reads it."""

from pathlib import Path

import click
import pytest
from fakeslurm import CLUSTER
from hypothesis import given
from hypothesis import strategies as st

from accounting.errors import InvalidInput, VoucherError
from slurm_voucher import estimate
from slurm_voucher.cli import sbatch

SCRIPT = """#!/bin/bash
# a job
#SBATCH --partition=ai --gres=gpu:ascend_910b:2   # two cards
#SBATCH -t 1:00:00

#SBATCH --job-name "my job" --comment=a#b
#SBATCH --voucher=CD26-0001
module load cann
#SBATCH --nodes=4
"""


def fields(*words: str, **environ: str) -> dict[str, str]:
    """Return the fields that words come to; nothing of them may be unclear."""
    asked = sbatch.read(words, environ)
    assert asked.unclear == []
    return dict(asked.fields)


@pytest.fixture
def script(tmp_path: Path) -> str:
    """A batch script."""
    path = tmp_path / "train.sh"
    path.write_text(SCRIPT)
    return str(path)


ONE = {"partition": "ai", "tres_per_node": "gpu:1", "time_limit": "90"}


@pytest.mark.parametrize(
    "line",
    [
        "--partition=ai --gres=gpu:1 --time=90",
        "--partition ai --gres gpu:1 --time 1:30:00",
        "-p ai --gres=gpu:1 -t 90",
        "-pai --gres gpu:1 -t1:30:00",
        "-HQpai --gpus-per-node=1 -t 0-1:30",
        "--part=ai --gres gpu:1 -t 90",
        "-J --help -p ai --gres=gpu:1 -t 90",
        "-p sc --partition=ai --gres=gpu:1 -t 90:00",
        "--exclusive=user --nice=100 -k -o out.%j -p ai --gres=gpu:1 -t 90 --",
    ],
)
def test_forms_of_options(line: str) -> None:
    """Long and short options, glued, with = or a space, shortened, given twice: as for sbatch."""
    assert fields(*line.split()) == ONE


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--gpus=8", {"tres_per_job": "gpu:8"}),
        ("-G ascend_910b:2,dcu_z100:1", {"tres_per_job": "gpu:ascend_910b:2,gpu:dcu_z100:1"}),
        ("--gpus-per-task=2 --tres-per-task=cpu:4", {"tres_per_task": "cpu:4,gpu:2"}),
        ("--gpus-per-socket=1", {"tres_per_socket": "gpu:1"}),
        ("-N 2", {"min_nodes": "2", "max_nodes": "2"}),
        ("-N 2-4", {"min_nodes": "2", "max_nodes": "4"}),
        ("--nodes=1,3-5", {"min_nodes": "1", "max_nodes": "5"}),
        ("-N 1k", {"min_nodes": "1024", "max_nodes": "1024"}),
        ("-n 4 -c 2 --ntasks-per-node=2",
         {"num_tasks": "4", "cpus_per_task": "2", "ntasks_per_node": "2"}),
        ("--mem=64G", {"mem_per_node_mb": "65536"}),
        ("--mem 0", {"mem_per_node_mb": "0"}),
        ("--mem=64G --mem-per-cpu=2G", {"mem_per_cpu_mb": "2048"}),
        ("--mem=64G --mem-per-gpu=2G", {"mem_per_tres": "gpu:2048"}),
        ("--cpus-per-gpu=4 --mincpus=8", {"cpus_per_tres": "gpu:4", "pn_min_cpus": "8"}),
        ("-w node[1-4]", {"req_nodes": "node[1-4]"}),
        ("-a 1-10%2 -q high", {"array": "1-10%2", "qos": "high"}),
        ("--exclusive", {"exclusive": "1"}),
        ("-t 0", {"time_limit": "unlimited"}),
        ("-t UNLIMITED", {"time_limit": "unlimited"}),
        ("--time=1-0", {"time_limit": "1440"}),
        ("--wrap=true --mail-type END --dependency=afterok:1", {}),
    ],
)  # fmt: skip
def test_what_changes_the_price(line: str, expected: dict[str, str]) -> None:
    """What decides the price comes out as the submit hook tells it; the rest is read over."""
    assert fields(*line.split()) == expected


def test_script(script: str) -> None:
    """#SBATCH lines count up to the first command, with quotes and comments as in a shell."""
    asked = sbatch.read([script, "--epochs", "3"], {})
    two_cards = {"partition": "ai", "tres_per_node": "gpu:ascend_910b:2", "time_limit": "60"}
    assert (asked.fields, asked.voucher, asked.unclear) == (two_cards, "CD26-0001", [])


def test_command_line_before_variables_before_script(script: str) -> None:
    """The command line wins over the environment, and that over the script, option by option."""
    environ = {"SBATCH_TIMELIMIT": "30", "SBATCH_GRES": "gpu:4", "SLURM_VOUCHER": "CD26-0002"}
    asked = sbatch.read(["-t", "10", script], environ)
    four = {"partition": "ai", "tres_per_node": "gpu:4", "time_limit": "10"}
    assert (asked.fields, asked.voucher) == (four, "CD26-0002")
    assert sbatch.read(["--voucher=CD26-0003", script], environ).voucher == "CD26-0003"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--threads-per-core=1 --gpus=1", ["--threads-per-core=1"]),
        ("-F nodes.txt -p ai", ["--nodefile=nodes.txt"]),
        ("-M other", ["--clusters=other"]),
        ("--ntasks-per-gpu=2", ["--ntasks-per-gpu=2"]),
        ("--exclusive=topo", ["--exclusive=topo"]),
        ("--site-thing=5 --other --third word -p ai",
         ["--site-thing=5", "--other", "--third=word"]),
        ("-z -p ai", ["-z"]),
        (f"--site={'x' * 99}", [f"--site={'x' * 40}…"]),
        ("-p ai : -p sc", ["the parts of the job behind ':'"]),
    ],
)  # fmt: skip
def test_what_is_not_understood(line: str, named: list[str]) -> None:
    """What may change the cost and is not priced is named, also options of a site's own plugin."""
    assert sbatch.read(line.split(), {}).unclear == named


def test_what_is_not_understood_of_a_script(tmp_path: Path) -> None:
    """Lines of other systems, further parts of a job and options behind the script are named."""
    path = tmp_path / "odd.sh"
    path.write_text("#!/bin/sh\n#PBS -l nodes=4\n#SBATCH -p ai\n#SBATCH hetjob\n#SBATCH -p sc\n")
    asked = sbatch.read([str(path), "-t", "60", "--lr=3"], {})
    assert asked.fields == {"partition": "ai"}
    assert asked.unclear == ["#PBS lines", "#SBATCH hetjob", f"-t behind {path}"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-p", "-p: needs an argument"),
        ("--gres", "--gres: needs an argument"),
        ("--tim=90", "may be time, time-min; write it out"),
        ("--gpus-per=1", "may be gpus-per-node, gpus-per-socket, gpus-per-task"),
        ("-n two", "'two' is no number"),
        ("-n 0", "'0' is no number"),
        ("-N 4-", "'4-' is no number of nodes"),
        ("-N 0", "0 is no number of nodes"),
        ("--mem=much", "'much' is no size of memory"),
        ("-t soon", "'soon': is no duration"),
    ],
)
def test_what_sbatch_would_not_take(line: str, said: str) -> None:
    """Mistakes on the command line are wrong usage."""
    with pytest.raises(click.UsageError) as refused:
        sbatch.read(line.split(), {})
    assert said in refused.value.format_message()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\x7fELF\x02\x01", "does not begin with #!"),
        (b"", "does not begin with #!"),
        (b"#!/bin/sh\r\n#SBATCH -p ai\r\n", "DOS line ends"),
    ],
)
def test_what_is_no_script(tmp_path: Path, raw: bytes, said: str) -> None:
    """What sbatch would not take as a script is refused in one line."""
    path = tmp_path / "x\x1b[31m.sh"
    path.write_bytes(raw)
    with pytest.raises(InvalidInput, match=said) as refused:
        sbatch.read([str(path)], {})
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["gone.sh", ".", "a\0b", "x" * 300])
def test_no_script_there(name: str) -> None:
    """A script that cannot be read is refused in one line."""
    with pytest.raises(InvalidInput, match=r"^script .*; name one as for sbatch$"):
        sbatch.read([name], {})


@pytest.mark.parametrize("line", ["#SBATCH -p", "#SBATCH 'x", "#SBATCH x", "#SBATCH -t 1h"])
def test_a_bad_line_of_a_script(tmp_path: Path, line: str) -> None:
    """A line that sbatch would not take is wrong usage."""
    path = tmp_path / "x.sh"
    path.write_text(f"#!/bin/sh\n{line}\n")
    with pytest.raises(click.UsageError):
        sbatch.read([str(path)], {})


OPTION = st.sampled_from(sorted(sbatch.KNOWN) + list(sbatch.SHORT))
VALUE = st.text(max_size=12) | st.sampled_from(["1", "gpu:2", "1-3", "64G", "1:00:00", "ai"])


@given(st.lists(st.tuples(OPTION, st.sampled_from(["=", " ", ""]), VALUE), max_size=6))
def test_any_words(words: list[tuple[str, str, str]]) -> None:
    """Any words are read, or refused in words; what comes out can be asked about, or is refused."""
    line = [
        part
        for name, between, value in words
        for part in f"{'-' * (1 + (len(name) > 1))}{name}{between}{value}".split(" ", 1)
    ]
    try:
        asked = sbatch.read(line, {})
        estimate.options(asked.fields, CLUSTER)
    except (click.UsageError, VoucherError) as error:
        assert str(error)  # noqa: PT017 - it says something

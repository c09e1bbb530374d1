"""slurm_voucher/sources/files.py: a file is what its bytes say, is read whole or not at all."""

import gzip
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from homes import GOOD, HEADER, ROOT, Home, furnished, one_line
from runs import DATA, a_run
from test_sources_json import JOB, answer
from test_sources_sacct import ROW

from accounting.errors import InvalidInput, UsageInvalid
from accounting.runs import usage
from accounting.runs.run import Run
from slurm_voucher.sources import BadRow, files

LINE = "|".join(ROW.values())
TEXT = f"{'|'.join(ROW)}\n{LINE}\n".encode()


def zstd(content: bytes) -> bytes:
    """Pack as zstd."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def read(path: Path, **how: object) -> tuple[list[Run], list[BadRow]]:
    """Read a file."""
    runs: list[Run] = []
    bad = []
    for found in files.read(path, timezone="UTC", **how).rows:  # type: ignore[arg-type]
        if isinstance(found, BadRow):
            bad.append(found)
        else:
            runs += usage.runs(found)
    return runs, bad


def written(tmp_path: Path, content: bytes, name: str = "rows") -> Path:
    """Write a file."""
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["rows", "rows.gz", "rows.zst", "rows.json"])
def test_the_content_says_what_it_is(tmp_path: Path, name: str) -> None:
    """Text and JSON, plain, gzip and zstd, in one part and in several, whatever they are called."""
    for pack in (bytes, gzip.compress, zstd):
        assert read(written(tmp_path, pack(TEXT), name)) == ([a_run()], [])
        assert read(written(tmp_path, pack(answer(JOB)), name)) == ([a_run(uid=None)], [])
        parts = pack(TEXT) + pack(f"{LINE}\n".encode())
        assert read(written(tmp_path, parts, name)) == ([a_run()] * 2, [])
    assert read(written(tmp_path, b"\xef\xbb\xbf" + TEXT)) == ([a_run()], [])
    assert read(written(tmp_path, b"\xef\xbb\xbf \n" + answer(JOB))) == ([a_run(uid=None)], [])


@pytest.mark.parametrize(
    ("begin", "kind"),
    [(b"BZh91AY", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"PK\3\4", "zip"), (b"PAR1", "Parquet"),
     (b"\xff\xfeJ\0", "UTF-16")],
)  # fmt: skip
def test_other_kinds_are_named(tmp_path: Path, begin: bytes, kind: str) -> None:
    """A file of another kind is refused by the name of its kind."""
    with pytest.raises(InvalidInput, match=f"is {kind}; give text of sacct -P or JSON"):
        files.read(written(tmp_path, begin + TEXT), timezone="UTC")


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_damaged_packed_files(tmp_path: Path, pack: object) -> None:
    """A packed file that is cut, or damaged within, is refused, and its half is no whole."""
    packed = pack(TEXT * 1000)  # type: ignore[operator]
    for damaged in (packed[:-20], packed[:40] + b"\xff" * 8 + packed[48:], packed + packed[:30]):
        with pytest.raises(InvalidInput, match=r"rows: cannot be read \(.*\); check path and form"):
            read(written(tmp_path, damaged))


LARGE = """
import resource, sys
from pathlib import Path
from slurm_voucher.sources import BadRow, files
try:
    found = files.read(Path(sys.argv[1]), timezone="UTC", cluster="chengdu").rows
    print(sum(0 if isinstance(each, BadRow) else each.num_rows for each in found), "runs")
finally:
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print("little" if peak_mib < 1024 else f"{peak_mib} MiB")
"""


def read_apart(path: Path) -> tuple[list[str], str]:
    """Read a file in a process of its own; return what it has and whether memory was enough."""
    done = subprocess.run(
        [sys.executable, "-c", LARGE, path], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.stdout.splitlines(), done.stderr


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("begin", "fill", "read", "said"),
    [
        (TEXT, b"x", "2 runs", ""),
        (b'{"jobs":[{"user":"', b"x", None, "an entry of more than 67108864 bytes"),
        (b'{"jobs":[{"user":', b"[", None, "nested more than 100 deep"),
        (b'{"jobs":[', b" ", None, "an entry of more than 67108864 bytes"),
    ],
    ids=["one line", "one text", "nested", "blanks"],
)
def test_a_bomb_takes_no_memory(
    tmp_path: Path, begin: bytes, fill: bytes, read: str | None, said: str
) -> None:
    """2 GiB out of a file of 64 KiB, as one line or as JSON, take less than 1 GiB."""
    path = tmp_path / "bomb"
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write(begin)
        for _ in range(2048):
            stream.write(fill * 2**20)
        stream.write(f"\n{LINE}\n".encode())
    assert path.stat().st_size < 2**18
    out, error = read_apart(path)

    assert out == ([read, "little"] if read else ["little"]), error
    assert said in error


@pytest.mark.thorough
def test_short_lines_take_no_memory(tmp_path: Path) -> None:
    """Millions of lines of no or one letter, each no row, are read one by one."""
    for short in (b"\n" * 2**25, b"x\n" * 2**22):
        out, error = read_apart(written(tmp_path, TEXT + short + f"{LINE}\n".encode()))
        assert out == ["2 runs", "little"], error


@pytest.mark.thorough
def test_a_line_of_two_gigabytes(tmp_path: Path) -> None:
    """A line of 2 GiB is one bad row; those before and after it are read, in less than 1 GiB."""
    path = written(tmp_path, TEXT)
    with path.open("ab") as file:
        file.truncate(len(TEXT) + 2**31)
        file.seek(0, os.SEEK_END)
        file.write(f"\n{LINE}\n".encode())
    out, error = read_apart(path)
    assert out == ["2 runs", "little"], error


def test_a_file_that_is_cut(tmp_path: Path) -> None:
    """The begin of a row, which reads as another row, is listed with its line and never read."""
    half = f"{LINE}\n{LINE}".removesuffix("00000").encode()
    for content in (TEXT + half, gzip.compress(TEXT + half)):
        runs, [bad] = read(written(tmp_path, content))
        assert runs == [a_run()] * 2
        assert bad.line == 4
        assert "line 4: the line has no line feed at its end and may be cut short" in str(bad)
    runs, [bad] = read(written(tmp_path, TEXT + b"x" * 2**20))
    assert len(runs) == 1
    assert "at most 65536 can be" in bad.reason
    with pytest.raises(UsageInvalid, match="no line ends in its first 8 bytes"):
        read(written(tmp_path, b"JobIDRaw"))
    with pytest.raises(UsageInvalid, match="no line ends in its first 0 bytes"):
        read(written(tmp_path, b""))


def test_a_file_that_grows(tmp_path: Path) -> None:
    """Of a file that grows while it is read what it held when it was opened is read."""
    path = written(tmp_path, TEXT)
    rows = files.read(path, timezone="UTC").rows
    blocks = files.unpacked(path)
    first = next(blocks)
    with path.open("ab") as file:
        file.write(f"{LINE}\n".encode() * 3)

    assert first == TEXT
    assert list(blocks) == []
    assert sum(each.num_rows for each in rows if not isinstance(each, BadRow)) == 1
    assert len(read(path)[0]) == 4


def test_a_pipe(tmp_path: Path) -> None:
    """A pipe is read until it ends, and not again to number a last line that is cut."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    whole = TEXT + f"{LINE}\n".encode() * 9
    for content, cut in ((whole, []), (whole + LINE[:-5].encode(), ["last line"])):
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        runs, bad = read(pipe)
        writer.join()

        assert len(runs) == 10
        assert [str(row).split(": ")[1] for row in bad] == cut


FIXED = """JobID           JobName  Partition    Account  AllocCPUS      State ExitCode
------------ ---------- ---------- ---------- ---------- ---------- --------
16_2               wrap         ai        lab         24  COMPLETED      0:0
16_2.batch    a_long_n+         ai        lab         24 CANCELLED+      0:0
"""


def test_fixed_width_output_is_refused(tmp_path: Path) -> None:
    """sacct without -P cuts values short and marks them with +: none of it is read."""
    path = written(tmp_path, FIXED.encode())
    with pytest.raises(UsageInvalid, match="fixed width, which cuts values short; export it anew"):
        read(path)
    runs, bad = read(path, fields=list(ROW))

    assert runs == []
    assert [row.line for row in bad] == [1, 2, 3, 4]


def test_a_bar_behind_the_last_column(tmp_path: Path) -> None:
    """sacct -p, which ends each line with a bar, reads as sacct -P does."""
    text = "".join(f"{line}|\n" for line in TEXT.decode().splitlines())
    assert read(written(tmp_path, text.encode())) == ([a_run()], [])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A rehearsal book with prices."""
    return furnished(tmp_path / "home")


def test_what_a_file_lacks_is_said_at_once(home: Home, tmp_path: Path) -> None:
    """What no run will say is told in one line before any row, by column; nothing where all is."""
    short = [name for name in ROW if name not in ("UID", "AdminComment", "Suspended")]
    rows = ["|".join(short), "|".join(ROW[name] for name in short), "bad"]
    path = written(tmp_path, "\n".join([*rows, ""]).encode())
    first, second, third = home.run("import", str(path)).stderr.splitlines()

    assert first == (
        f"svoucher: {path} has no UID (who ran it, by number), no AdminComment (voucher and hold); "
        "its runs come without"
    )
    assert second == f"svoucher: {path}: line 3: the line has 1 fields, 16 are needed"
    assert "nothing was taken in" in third
    assert home.run("import", str(written(tmp_path, TEXT))).stderr == ""


def test_columns_in_which_users_write_are_named(home: Home, tmp_path: Path) -> None:
    """A file with a column in which a user's line feed could look like a row is named at once."""
    path = written(tmp_path, f"{'|'.join(ROW)}|JobName\n{LINE}|train\n".encode())
    done = home.run("import", str(path))

    assert done.exit_code == 0
    assert done.stderr == (
        f"svoucher: {path} has JobName, whose text users choose: a line feed in it can look like a "
        "row; export without\n"
    )


def test_import_of_any_file(home: Home, tmp_path: Path) -> None:
    """What cannot be read is one line and exit code 3; the same rows packed are known already."""
    text = f"{HEADER}\n{GOOD}\n".encode()
    home.ok("import", str(written(tmp_path, text)))
    assert "0 new, 0 changed, 1 known" in home.ok("import", str(written(tmp_path, zstd(text))))
    one_line(home.run("import", str(written(tmp_path, zstd(text)[:-4]))), 3, "rows", "check")
    one_line(home.run("import", str(written(tmp_path, b""))), 3, "no line ends")
    one_line(home.run("import", str(tmp_path / "none")), 3, "No such file")


@pytest.mark.parametrize(
    ("name", "missing", "steps", "bad_rows"),
    [
        ("1", "QOS;", 3, [(2, "AllocTRES")]),
        ("2", "QOS;", 2, [(2, "AllocTRES"), (6, "")]),  # its last line has no line feed
        ("3", "JobIDRaw, JobID, Submit", 0, None),  # has commas
    ],
)
def test_slurm2sql(
    tmp_path: Path, name: str, missing: str, steps: int, bad_rows: list[tuple[int, str]] | None
) -> None:
    """slurm2sql's own files are refused by the columns that they lack; with these, steps (one is
    longer than its job) are no runs, and a row without AllocTRES is none that can be charged."""
    path = DATA / "slurm2sql" / f"test-data{name}.csv"
    with pytest.raises(UsageInvalid, match=f"no column {missing}"):
        files.read(path, timezone="UTC", cluster="triton")
    if bad_rows is None:
        return
    skipped: Counter[str] = Counter()
    with_qos = "".join(f"normal|{line}" for line in path.read_text().splitlines(keepends=True))
    whole = written(tmp_path, with_qos.replace("normal", "QOS", 1).encode())
    runs, bad = read(whole, cluster="triton", skipped=skipped)

    assert (runs, skipped) == ([], {"step": steps, "no end": 1})
    assert [(row.line, row.column) for row in bad] == bad_rows

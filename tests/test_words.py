"""slurm_voucher/words.py: people are told in their language, programs always in English."""

import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest
import sentences
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from fakeslurm import FakeSlurm
from homes import GOOD, HEADER, ROOT, Home, an_account, furnished
from test_guides import steps
from test_startup import SLOW, SVOUCHER, python

from accounting.forms import naming
from slurm_voucher import words

CHINESE = {"LC_ALL": "zh_CN.UTF-8"}
HAN = re.compile("[\u4e00-\u9fff]")
COMMAND = re.compile(r"(svoucher|main)( [a-z]+)+|--[a-z]+ [a-z]+")
"""What is typed is the same in any language."""
TERMS = "|".join([*naming.CATEGORIES.values(), "算力券|[(].*?[)]|演练|（.*）"])
"""What is Chinese in English, too: terms of the rules."""
FIGURE = re.compile(r"\d+(?:[,.:-]\d+)*")
PLACE = re.compile(r"\{[^}\s:]*\}|%\(\w+\)s")
SOURCES = sorted(words.FOLDER.glob("*/LC_MESSAGES/*.po"))


def catalog(path):
    """Read a catalogue's source."""
    return read_po(io.BytesIO(path.read_bytes()), path.parent.parent.name, words.DOMAIN)


def catalogue() -> words.Catalogue:
    """Return the Chinese catalogue as svoucher has it."""
    with (words.FOLDER / "zh_CN" / "LC_MESSAGES" / "svoucher.mo").open("rb") as file:
        return words.Catalogue(file)


@pytest.fixture(autouse=True)
def _english_again(monkeypatch) -> Iterator[None]:
    """Leave the language of this process as it was."""
    yield
    monkeypatch.undo()
    words.start()


# --- catalogues ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_every_sentence_is_translated(path) -> None:
    """What a researcher may read is in each catalogue, and nothing that is not said any more."""
    wanted = {(one.context, one.id) for one in sentences.found() if one.id}
    made = {(one.context, one.id): one for one in catalog(path) if one.id}
    assert made.keys() - wanted == set()
    told = {key: one.string for key, one in made.items()}
    done = {key for key, text in told.items() if all([text] if isinstance(text, str) else text)}
    assert wanted - done == set()
    assert not any(one.fuzzy for one in made.values())


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_translation_has_the_fields_of_its_sentence(path) -> None:
    """Each translation has every field of its sentence at least once, and no other."""
    wrong = {}
    for one in catalog(path):
        ids = one.id if isinstance(one.id, tuple) else (one.id,)
        told = one.string if isinstance(one.string, tuple) else (one.string,)
        if one.id and {*PLACE.findall(ids[-1])} != {*PLACE.findall(told[-1])}:
            wrong[one.id] = one.string
    assert wrong == {}


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_compiled_catalogue_is_that_of_its_source(path) -> None:
    """The .mo beside a .po is what `make words` makes of it."""
    made = io.BytesIO()
    write_mo(made, catalog(path))

    assert path.with_suffix(".mo").read_bytes() == made.getvalue()


def test_every_sentence_is_found_again() -> None:
    """A sentence with figures is known by what stands between them, and no other is taken for it;
    its figures are those of the translation."""
    chinese = catalogue()
    for one in catalog(SOURCES[0]):
        if one.context or not isinstance(one.id, str) or "%(" in one.id or not one.id:
            continue
        names = words.FIELD.findall(one.id)
        fields = {name: f"{i}7.5" for i, name in enumerate(names, 1)}
        if " " in one.id:
            assert chinese.said(words.filled(one.id, fields)) == words.filled(one.string, fields)


# --- sentences -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("nobody ever said that", "nobody ever said that"),
        ("", ""),
        ("never started", "从未启动"),
        (
            "partition a/b: is priced by cores and none is in the allocation",
            "分区 a/b：按核计价，而分配中没有",
        ),
        (
            "partition a/b: takes 3/2 nodes by memory, 1 in the allocation; correct node: in the "
            "tariff",
            "分区 a/b：按内存需 3/2 个节点，分配中有 1 个；请更正价目表中的 node:",
        ),
        ("never started; it was; never started", "从未启动；it was；从未启动"),
        ("free: NODE_FAIL is free", "免费：NODE_FAIL 不收费"),
        ("unrated: state X is in no rule; name it in rating.states of the policy",
         "未计价：状态 X 没有对应规则；请在政策的 rating.states 中写明"),
        ("hold {0.__class__}: stands for another job; submit again",
         "预占 {0.__class__}：属于另一个作业；请重新提交"),
        ("voucher CD26-0001: unit a is frozen: b; c: d; ask the regulator",
         "算力券账户 CD26-0001：单位 a 已冻结：b; c: d；请询问主管部门"),
        ("account CD26-0001 of shuzhi: 80 % of its voucher is used: 81.00 of 100.00 yuan, 19.00 is "
         "free",
         "shuzhi 的账户 CD26-0001：算力券已用 80 %：已用 81.00 元，共 100.00 元，可用 19.00 元"),
        ("account CD26-0001 of shuzhi: its voucher expires in 7 days or less, on 2026-11-30: "
         "81.00 of 100.00 yuan, 19.00 is free",
         "shuzhi 的账户 CD26-0001：算力券将在 7 天内到期，末日 2026-11-30："
         "已用 81.00 元，共 100.00 元，可用 19.00 元"),
        ("counted by day of issue, as of now; machines split by time (Asia/Shanghai)",
         "统计方式：按发放日期，截至目前；机器用量按时间分摊（Asia/Shanghai）"),
    ],
)  # fmt: skip
def test_sentence(english: str, chinese: str) -> None:
    """A sentence is said in Chinese with what it was made of, one that is unknown as it is."""
    assert catalogue().said(english) == chinese


def test_a_name_is_no_word() -> None:
    """Only a column that has words of its own has them said: a user may be called `free`."""
    chinese = catalogue()
    assert chinese.word("status", "free") == "免费"
    assert chinese.word("user", "free") == "free"
    assert chinese.word("user", "path") == "path"


@pytest.mark.parametrize(
    "text", ["{" * 5000, "voucher " * 5000, ": " * 3000, ": ; " * 250, "partition a: " * 900]
)
def test_a_long_line_is_no_burden(text: str) -> None:
    """A line that fits nothing ends, whatever its length."""
    assert len(catalogue().said(text)) >= len(text) // 2


# --- which language --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "is_chinese"),
    [
        ({}, False),
        ({"LC_ALL": "C"}, False),
        ({"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, False),
        ({"LC_ALL": "POSIX", "LANGUAGE": "zh_CN"}, False),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, False),
        ({"LC_ALL": "xx_YY.UTF-8"}, False),
        ({"LC_ALL": "/etc/passwd"}, False),
        ({"LC_ALL": "zh_CN.UTF-8"}, True),
        ({"LC_MESSAGES": "zh_CN", "LANG": "en_US.UTF-8"}, True),
        ({"LANG": "zh_CN.GB18030"}, True),
        ({"LC_MESSAGES": "en_GB", "LANG": "zh_CN"}, False),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "zh_CN:en"}, True),
        ({"LANG": "zh_CN.UTF-8", "LANGUAGE": "en:zh_CN"}, False),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": "de:zh_CN"}, True),
    ],
)
def test_language(monkeypatch, env, is_chinese: bool) -> None:
    """The language is that of LC_ALL, LC_MESSAGES or LANG, or the first that LANGUAGE has; where
    there is no catalogue for it, English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    words.start()
    try:
        assert words.said("never started") == ("从未启动" if is_chinese else "never started")
    finally:
        monkeypatch.undo()
        words.start()


def test_a_terminal_without_chinese_is_told_in_english(tmp_path) -> None:
    """Where a terminal cannot show Chinese it is told in English, and nothing fails."""
    words_ = ("--home", str(tmp_path), "balance")
    _, english, _ = python(SVOUCHER, *words_)
    code, said, _ = python(SVOUCHER, *words_, **CHINESE, PYTHONIOENCODING="ascii")
    assert (code, said) == (4, english)
    assert said.isascii()
    code, said, _ = python(SVOUCHER, *words_, **CHINESE)
    assert code == 4
    assert "请用 svoucher init 新建" in said
    code, said, loaded = python(SVOUCHER, "--help", **CHINESE)
    assert (code, said, loaded & SLOW) == (0, "", set())


# --- commands --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Home]:
    """A book with an account, and runs: one charged, one free, one unrated."""
    tmp_path = tmp_path_factory.mktemp("words")
    home = furnished(tmp_path / "home")
    an_account(home)
    home.ok("member", "add", "shuzhi", "--cluster", "chengdu", "--uid", "1001", "--from",
            "2026-11-22")  # fmt: skip
    runs = [GOOD, GOOD.replace("7|7", "8|8").replace("COMPLETED", "NODE_FAIL"),
            GOOD.replace("7|7", "9|9").replace("COMPLETED", "ODD")]  # fmt: skip
    (tmp_path / "runs.psv").write_text("\n".join([HEADER, *runs, ""]))
    home.ok("import", str(tmp_path / "runs.psv"), "--timezone", "UTC")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{FakeSlurm(tmp_path / 'slurm').folder}:/usr/bin:/bin")
        yield home


ASKED = [
    "balance", "members", "jobs", "explain 7", "explain 8", "explain 9",
    "quote -p ai --gres=gpu:ascend_910b:1 -t 60 --voucher CD26-0001",
    "quote -p ai --gres=gpu:ascend_910b:1 -t 60",
    "quote -p gone", "balance CD99-0001", "members CD99-0001", "explain 99", "jobs --cluster none",
    "quote -p ai --mem=much", "--as-of 1999-01-01 balance", "balance --odd", "nothing",
    "quote --cpus 1", "quote -p ai -t x", "quote nowhere.sh",
    "--help", "balance --help", "quote --help", "jobs --help", "explain --help", "members --help",
    "report --help", "status", "status --help", "warn --help", "warn",
    "report usage --cluster pozidriv", "report usage --cluster none", "report charges",
    "report charges --by total --group partition", "report units", "report programme --year 2026",
    "report utilisation --cluster pozidriv", "report vouchers", "report vouchers --html no/x.html",
    "report usage --cluster pozidriv --chart", "report charges --group unit --chart --by year",
    "report utilisation --cluster pozidriv --chart", "report programme --year 2016 --chart",
    "report usage --help", "report utilisation --help", "report charges --help",
    "report vouchers --help", "report units --help", "report programme --help",
    "report vouchers --plot x.gif", "report vouchers --chart --json",
]  # fmt: skip


@pytest.mark.parametrize("asked", ASKED)
def test_both_languages_say_the_same_figures(home: Home, monkeypatch, asked: str) -> None:
    """In Chinese nothing is said in English, and figures and exit code are those of English."""
    monkeypatch.setenv("COLUMNS", "80")
    english = home.run(*asked.split())
    monkeypatch.setenv("LC_ALL", CHINESE["LC_ALL"])
    chinese = home.run(*asked.split())

    assert chinese.exit_code == english.exit_code
    assert sorted(FIGURE.findall(chinese.output)) == sorted(FIGURE.findall(english.output))
    assert HAN.search(chinese.output)
    assert not re.search(r"\b[a-z]{2,} [a-z]{2,}\b", COMMAND.sub("", chinese.output))
    assert not HAN.search(re.sub(TERMS, "", english.output))


@pytest.mark.parametrize("asked", ["balance", "members", "jobs"])
@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_programs_read_the_same_in_any_language(home: Home, monkeypatch, asked, form) -> None:
    """JSON and CSV are the same to the byte, whatever the language."""
    english = home.ok(asked, form)
    monkeypatch.setenv("LC_ALL", CHINESE["LC_ALL"])
    assert home.ok(asked, form) == english


def test_money_is_written_the_same(home: Home, monkeypatch) -> None:
    """An amount has commas and two decimals in Chinese, too."""
    home.ok("--as-of", "2026-11-23", "topup", "CD26-0001", "1,234.56", "--reference", "B-1")
    monkeypatch.setenv("LC_ALL", CHINESE["LC_ALL"])
    assert "1,234.56" in home.ok("balance")


def test_both_guides_show_the_same() -> None:
    """The researcher's guide in Chinese has the commands of that in English, and shows in Chinese
    what svoucher prints; what sbatch and programs are told is the same."""
    english, chinese = (
        steps((ROOT / "docs" / name).read_text(encoding="utf-8"))
        for name in ("researcher.md", "researcher.zh.md")
    )
    assert [command for command, _ in chinese] == [command for command, _ in english]
    for (command, lines), (_, before) in zip(chinese, english, strict=True):
        as_said = command.startswith("svoucher") and "--csv" not in command
        told = [_told(line) for line in before] if as_said else before
        assert lines == told, command


def _told(line: str) -> str:
    """Say a line of the guide in Chinese: a table's columns, a sentence, or words of a row."""
    said = catalogue()
    if line.startswith("job "):
        return re.sub(r"\w+", lambda one: said.pgettext("column", one[0]), line)
    *_, sentence = line.rpartition("svoucher: ")
    in_row = {"yes": said.word("may_spend", "yes"), "held": said.word("status", "held")}
    told = line.removesuffix(sentence) + said.said(sentence)
    return re.sub("(?<=… )(yes|held)(?= …|$)", lambda one: in_row[one[0]], told)


def test_the_chinese_guide_runs(home: Home, monkeypatch) -> None:
    """What the Chinese guide asks of svoucher runs in a Chinese locale as it does in English."""
    text = (ROOT / "docs" / "researcher.zh.md").read_text(encoding="utf-8")
    asked = [shlex.split(each) for each, _ in steps(text) if each.startswith("svoucher ")]
    assert len(asked) > 5
    for _, *arguments in asked:
        monkeypatch.delenv("LC_ALL", raising=False)
        english = home.run(*arguments)
        monkeypatch.setenv("LC_ALL", CHINESE["LC_ALL"])
        done = home.run(*arguments)

        assert done.exit_code == english.exit_code
        assert sorted(FIGURE.findall(done.output)) == sorted(FIGURE.findall(english.output))
        assert HAN.search(done.output) or "--csv" in arguments


def test_a_wheel_has_the_catalogue_and_the_manual(tmp_path) -> None:
    """What is installed speaks Chinese, too, and man finds the pages of its commands."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
               "--no-index", "-w", str(tmp_path), str(ROOT)]  # fmt: skip
    subprocess.run(command, check=True, env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    [wheel] = tmp_path.glob("*.whl")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "slurm_voucher/locale/zh_CN/LC_MESSAGES/svoucher.mo" in listed
    for page in ("svoucher", "svoucher-balance", "svoucher-report-usage"):
        assert f".data/data/share/man/man1/{page}.1 " in listed

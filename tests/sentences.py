"""Find the sentences that who asks may read, and bring the catalogues in line: make words."""

import ast
import errno
import json
import os
import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
from babel.messages import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from accounting.forms import standing
from accounting.rates import chips
from accounting.settle import charges, pricing
from slurm_voucher import cli, words
from slurm_voucher.charts import chart, page
from slurm_voucher.cli import main

ROOT = Path(__file__).parent.parent
COMMANDS = (
    "quote", "balance", "members", "jobs", "explain", "status", "warn", "report usage",
    "report utilisation", "report charges", "report vouchers", "report units", "report programme",
)  # fmt: skip
FILES = [
    *(f"slurm_voucher/cli/{name}.py" for name in (
        "__init__", "balance", "charting", "ending", "jobs", "members", "money_reports", "output",
        "quote", "report", "sbatch", "site", "status", "warn",
    )),
    *(f"slurm_voucher/{name}.py" for name in (
        "answers", "asking", "commands", "estimate", "munge", "partitions", "past", "port",
        "charts/reports", "papers/fonts", "present", "queue", "quotes", "times", "tres",
        "userport", "warning",
    )),
    *(f"accounting/rates/{name}.py" for name in (
        "basis", "definition", "explaining", "footprint", "tariff",
    )),
    "accounting/vouchers/holds.py", "accounting/vouchers/spending.py",
]  # fmt: skip
"""Where what researchers and readers of reports see is written: all of it is in the catalogues."""
RAISED = [
    "accounting/book/ledger.py", "accounting/settle/charges.py", "accounting/settle/stored.py",
    "slurm_voucher/listening.py",
]  # fmt: skip
"""Of these only what they raise."""
NOT_SAID = re.compile(
    r"[A-Z]{2,} |from |svoucher: \{|\[[A-Z]{2,}|%|users|uid|policy \{|演练|, deduct|[)] ON |.* min$"
)
"""How SQL, logs, options and names begin: what is no sentence, or for nobody who asks."""
GROUPS = tuple(sorted({*charges.GROUPS, *standing.GROUPS}))
VALUES = {
    "column": GROUPS,
    "status": tuple(f", {one}" for one in chips.STATUSES[1:]),
    "reason": (pricing.REFUNDED,),
    "unit": ("minute", "hour"),
    "what": (
        "cards", "cores", "nodes", "memory", "Core-hours", "Card-hours", "refused", "holds", "held",
    ),
    "figure": ("unknown",),
    "group": GROUPS,
    "title": ("Charges", "Vouchers"),
    "tool": (*page.TOOLS, page.POINTED_AT),
    "series": ("all", "charge", "issued", chart.OTHERS, "vouchers"),
    "measure": ("yuan", "hours", "percent", "PFLOPS·hours", "runs"),
    "verdict": ("accepted", "refused"),
}  # fmt: skip
"""Words of columns and fields that no schema lists."""
OF_SYSTEM = tuple(
    os.strerror(number)
    for number in (
        errno.EACCES, errno.ECONNREFUSED, errno.EDQUOT, errno.EHOSTUNREACH, errno.EISDIR,
        errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.ETIMEDOUT,
    )
)  # fmt: skip
"""What the system says where a researcher's command reads, writes or asks."""
OF_CLICK = ("decorators", "exceptions", "formatting", "parser", "types")
"""Modules of click whose words a user reads; the rest says nearly all to programmers."""
CORE = ("Commands", "Options", "Positional arguments", "Aborted!", "default: {default}")


def _field(node: ast.expr) -> str:
    """Name what stands in a sentence, by the variable that it is taken from."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
            return re.sub(r"\W", "", name).strip("_").lower()
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(args=[first, *_]):
            return _field(first)
        case ast.Call(func=ast.Attribute(value=inner)) | ast.Call(func=inner):
            return _field(inner)
        case ast.Subscript(value=inner) | ast.IfExp(test=inner):
            return _field(inner)
        case ast.BinOp(left=inner) | ast.BoolOp(values=[inner, *_]):
            return _field(inner)
        case ast.UnaryOp(operand=inner) | ast.GeneratorExp(elt=inner) | ast.Compare(left=inner):
            return _field(inner)
    return ""


def _sentence(node: ast.JoinedStr) -> str:
    names: list[str] = []
    text = ""
    for value in node.values:
        if isinstance(value, ast.FormattedValue):
            name = _field(value.value) or "value"
            names.append(name)
            text += f"{{{name}{names.count(name) if names.count(name) > 1 else ''}}}"
        else:
            assert isinstance(value, ast.Constant)
            text += str(value.value)
    return text


def _is_said(text: str) -> bool:
    bare = words.FIELD.sub("", text)
    return " " in text and bool(re.search("[A-Za-z]{2}", bare)) and not NOT_SAID.match(text)


def of_file(path: Path) -> Iterator[str]:
    """Yield the sentences of a file: all text in it that has a blank and is no docstring."""
    yield from _of(ast.parse(path.read_text(encoding="utf-8")))


def raised(path: Path) -> Iterator[str]:
    """Yield the sentences that a file raises."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise):
            yield from _of(node)


def _of(tree: ast.AST) -> Iterator[str]:
    no_sentence: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            no_sentence.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            no_sentence |= set(node.values)
        elif isinstance(node, ast.Assert) and node.msg:
            no_sentence.add(node.msg)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "_words":
            no_sentence |= set(node.args)
    for node in ast.walk(tree):
        if node in no_sentence:
            continue
        if isinstance(node, ast.JoinedStr):
            text = _sentence(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if _is_said(text):
            yield text


def of_help(name: str) -> Iterator[str]:
    """Yield the help of a command and of its options."""
    command: click.Command = main
    for word in name.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    assert command.help
    for paragraph in cleandoc(command.help).split("\n\n"):
        if paragraph.startswith(words.EXAMPLE):
            yield paragraph.removeprefix(words.EXAMPLE).partition(": ")[0]
        else:
            yield " ".join(paragraph.split())
    yield from (p.help for p in command.params if isinstance(p, click.Option) and p.help)


def words_of(name: str) -> Iterator[tuple[str, str]]:
    """Yield what a command's table has for columns and words, each with what it stands for."""
    schema = ROOT / "tests" / "schemas" / "commands" / f"{name.replace(' ', '-')}.json"
    if schema.exists():
        for column, what in json.loads(schema.read_text())["items"]["properties"].items():
            yield "column", column
            yield from ((column, one) for one in what.get("enum", ()) if one)


def found() -> Catalog:
    """Return all that has to be in a catalogue."""
    template = Catalog(domain=words.DOMAIN, project="slurm-voucher", charset="utf-8")
    for file in FILES:
        for text in of_file(ROOT / file):
            template.add(text, locations=[(file, 0)])
    for file in RAISED:
        for text in raised(ROOT / file):
            template.add(text, locations=[(file, 0)])
    for name in COMMANDS:
        for text in of_help(name):
            template.add(text, locations=[(f"svoucher {name} --help", 0)])
        for what, text in words_of(name):
            template.add(text, context=what, locations=[(f"svoucher {name}", 0)])
    for what, listed in VALUES.items():
        for text in listed:
            template.add(text, context=what)
    for _, text in cli.COMMANDS.values():
        template.add(text, locations=[("svoucher --help", 0)])
    template.add(main.help, locations=[("svoucher --help", 0)])
    for mark in words.MARKS:
        template.add(mark, locations=[("slurm_voucher/words.py", 0)])
    for text in (*OF_SYSTEM, "timed out", "Name or service not known"):
        template.add(text, locations=[("strerror", 0)])
    for part in OF_CLICK:
        of_click = Path(click.__file__).parent / f"{part}.py"
        for _, text, _, _ in extract_from_file("python", str(of_click)):
            template.add(text, locations=[(f"click/{part}.py", 0)])
    for text in CORE:
        template.add(text, locations=[("click/core.py", 0)])
    return template


def update() -> None:
    """Bring each catalogue in line with the sentences that there are, and compile it."""
    for path in sorted(words.FOLDER.glob("*/LC_MESSAGES/*.po")):
        with path.open("rb") as file:
            catalog = read_po(file, locale=path.parent.parent.name, domain=words.DOMAIN)
        catalog.update(found(), no_fuzzy_matching=True, update_creation_date=False)
        catalog.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, catalog, width=100, sort_output=True, include_lineno=False)
        with path.with_suffix(".mo").open("wb") as file:
            write_mo(file, catalog)
        missing = [message.id for message in catalog if message.id and not message.string]
        sys.stderr.write("".join(f"{path.name}: no translation: {one!r}\n" for one in missing))


if __name__ == "__main__":
    update()

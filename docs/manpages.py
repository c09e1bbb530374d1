"""Write a manual page for svoucher and for each of its commands, from their help: make man, and
whoever builds a wheel (backend.py).

click-man finds no commands that are loaded when they are used, and takes help for roff.
"""

import os
import re
import sys
import time
import tomllib
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click

from slurm_voucher.cli import main
from slurm_voucher.words import EXAMPLE

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
VERSION = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"]
ROFF = str.maketrans(
    {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
)
EXIT = {
    "0": "done", "1": "the rules say no", "2": "wrong usage", "3": "bad input", "4": "try again",
    "5": "the book does not add up", "141": "whoever reads the output has enough",
}  # fmt: skip


def pages(command: click.Command, name: str, above: click.Context | None = None) -> Iterator[str]:
    """Yield the page of a command, and those of the commands below it; each begins with .TH."""
    ctx = click.Context(command, above, name, **command.context_settings)
    children = {}
    if isinstance(command, click.Group):
        children = {each: command.get_command(ctx, each) for each in command.list_commands(ctx)}
    yield "\n".join(_page(ctx, children)) + "\n"
    for each, child in children.items():
        assert child is not None
        yield from pages(child, each, ctx)


def _page(ctx: click.Context, children: dict[str, click.Command | None]) -> Iterator[str]:
    said = cleandoc(ctx.command.help or "").split("\n\n")
    title, first = ctx.command_path.replace(" ", "-"), " ".join(said[0].split())
    day = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    date, release = time.strftime("%Y-%m-%d", day), VERSION
    yield f'.TH {_roff(title.upper())} 1 {date} "slurm\\-voucher {release}" "slurm\\-voucher"'
    yield f".SH NAME\n{_roff(title)} \\- {_roff(first.rstrip('.'))}"
    yield f".SH SYNOPSIS\n.B {_roff(ctx.command_path)}"
    yield _roff(" ".join(ctx.command.collect_usage_pieces(ctx)))
    yield ".SH DESCRIPTION"
    for part in said:
        example = part.startswith(EXAMPLE)
        text = _roff(part[1:].strip() if example else " ".join(part.split()))
        yield f".PP\n.nf\n{text}\n.fi" if example else f".PP\n{text}"
    yield ".SH OPTIONS"
    options = [each for each in ctx.command.get_params(ctx) if isinstance(each, click.Option)]
    for names, text in filter(None, (each.get_help_record(ctx) for each in options)):
        yield f".TP\n.B {_roff(names)}\n{_roff(text)}".rstrip()
    if children:
        yield ".SH COMMANDS"
        for name, child in children.items():
            line = cleandoc(child.help or "").partition("\n\n")[0] if child else ""
            yield f".TP\n.BR {_roff(title)}\\-{_roff(name)} (1)\n{_roff(' '.join(line.split()))}"
    yield ".SH EXIT STATUS"
    for code, meaning in EXIT.items():
        yield f".TP\n.B {code}\n{meaning}"
    if ctx.parent is not None:
        yield f".SH SEE ALSO\n.BR {_roff(ctx.parent.command_path.replace(' ', '-'))} (1)"


def _roff(text: str) -> str:
    """Write text so that roff sees no request in it."""
    return re.sub(r"^(?=\.)", r"\\&", text.translate(ROFF), flags=re.M)


def write(folder: Path) -> None:
    """Write all pages into man1 of a folder; none stays of a command that there is no more."""
    (folder / "man1").mkdir(parents=True, exist_ok=True)
    for old in (folder / "man1").glob("svoucher*.1"):
        old.unlink()
    for page in pages(main, "svoucher"):
        title = page.split()[1].replace("\\", "").lower()
        (folder / "man1" / f"{title}.1").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))

"""svoucher: one command, nouns and verbs in the order of the flow.

A command's module is imported only when the command is used, so --help loads nothing but click.
Modules whose commands read no runs load no Arrow; tests/test_startup.py holds both.
"""

import atexit
import gc
import importlib
import os
import shutil
from copy import copy
from gettext import gettext
from typing import Any

import click
from click.shell_completion import CompletionItem

from slurm_voucher import words
from slurm_voucher.cli import ending

gc.set_threshold(100_000, 10, 100)
"""What is imported stays: to look through all of it for garbage, over and over while it grows, is a
tenth of what a command takes."""
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""No matrix is multiplied here: threads that wait for one take 0.1 s of a processor."""
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
"""Tables come and go; Arrow's own pool gives each one's memory back, to be had anew for the next: a
twelfth of the processor's time of an import."""
atexit.register(gc.freeze)
"""At its end Python looks through all of it once more: half a second where numba is among it."""

COMMANDS = {
    "init": ("book", "Make a new book."),
    "check": ("book", "Is everything reachable and consistent?"),
    "backup": ("backup", "Copy book, archive and papers into a folder, while work goes on."),
    "restore": (
        "backup",
        "Bring a backup back into an empty place; then collect what came after it.",
    ),
    "upgrade": ("upgrade", "Bring a book of an earlier release to this one's tables."),
    "key": ("acts", "Keys of regulator, treasury and system."),
    "act": ("acts", "Sign an act, or carry out a signed one."),
    "price": ("rules", "Price lists: load, show, check."),
    "chips": ("rules", "The chip catalogue."),
    "policy": ("rules", "The rules in force."),
    "provider": ("parties", "Providers (供给方)."),
    "unit": ("units", "Units (需求方): register and list."),
    "contract": ("contracts", "Contracts; each opens a voucher account."),
    "member": ("parties", "Who may spend a unit's vouchers."),
    "topup": ("parties", "Record cash that a unit paid in; it settles what the unit owes first."),
    "apply": ("vouchers", "Apply for a voucher (申领): contract and paper go to the regulator."),
    "review": (
        "vouchers",
        "Draft the regulator's review of an application, with what the rules give for it.",
    ),
    "waiting": (
        "vouchers",
        "Who waits for money: confirmed applications that no limit had room for.",
    ),
    "voucher": ("vouchers", "Vouchers that were issued (发放)."),
    "quote": ("quote", "Show the most that a job can cost."),
    "balance": (
        "balance",
        "Show what is settled, accrued, held and free on voucher accounts, in yuan.",
    ),
    "members": ("members", "List who may spend voucher accounts, now or from a later day on."),
    "jobs": (
        "jobs",
        "List jobs: what has ended with its charge, what waits or runs with what is held for it.",
    ),
    "explain": ("jobs", "Show one charge line by line, computed again from the archive."),
    "serve": ("daemon", "Run voucherd in the foreground: it answers the submit hook."),
    "status": (
        "status",
        "Say how voucherd does: what it was asked, and what the hook had no answer to.",
    ),
    "holds": (
        "daemon",
        "List holds that have not ended, with the job that the queue showed for each.",
    ),
    "rebind": ("daemon", "Move a waiting job to another voucher account."),
    "reconcile": (
        "daemon",
        "Compare some days with slurmdbd; without days bring holds in line with the queue.",
    ),
    "import": (
        "usage",
        "Take usage in from a file that `sacct -P` or `sacct --json` wrote, plain, gzip or zstd.",
    ),
    "collect": ("usage", "Take in the runs of a cluster that have ended, from slurmdbd by sacct."),
    "rate": ("usage", "Rate the unrated runs again, with the price list that is now in force."),
    "rerate": (
        "rerate",
        "Show what all runs would cost by a price list, beside what they were charged.",
    ),
    "archive": ("archive", "The usage archive: list, verify, compact."),
    "report": ("report", "Reports."),
    "warn": (
        "warn",
        "Tell by the site's command which vouchers are nearly used up or expire, each level once.",
    ),
    "close": (
        "settle",
        "Close a month: one statement for each account with charges. Twice is once.",
    ),
    "refund": ("refunds", "Give a run back (退费): what it cost returns to voucher and unit."),
    "statement": ("statements", "Statements (结算单)."),
    "invoice": ("statements", "Invoices (发票): request and record."),
    "claim": ("claims", "Redemption claims (兑付申请)."),
    "reserve": ("claims", "The reserve fund (备用金)."),
    "audit": (
        "audit",
        "Check every rule over the whole book and archive; exit 5 when something does not add up.",
    ),
}
"""Each command: the module of this package that it stands in, and the first line of its help."""


class Commands(click.Group):
    """The commands above, found by name; however one ends, it is told in a line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"slurm_voucher.cli.{COMMANDS[cmd_name][0]}")
        command = _said(getattr(module, f"{cmd_name}_"))
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands with their help, without importing what they need to run."""
        found = [
            CompletionItem(name, help=words.said(help_line))
            for name, (_, help_line) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the options; --help and --version write here already, as wide as there is room."""
        extra.setdefault("terminal_width", min(shutil.get_terminal_size().columns, 80) - 2)
        words.start()
        with ending.told():
            ending.insist_on_output()
            return click.Group.make_context(_said(self), *args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with ending.told():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their help, without importing what they need to run."""
        rows = [(name, words.said(help_line)) for name, (_, help_line) in COMMANDS.items()]
        with formatter.section(gettext("Commands")):
            formatter.write_dl(rows)


def _said(command: click.Command) -> click.Command:
    """Return a command whose help is in the reader's language, with those below it."""
    command = copy(command)
    command.help = words.help_text(command.help or "")
    command.params = [copy(param) for param in command.params]
    for param in command.params:
        if isinstance(param, click.Option) and param.help:
            param.help = words.said(param.help)
    if isinstance(command, click.Group) and not isinstance(command, Commands):
        command.commands = {name: _said(below) for name, below in command.commands.items()}
        for below in command.commands.values():
            below.short_help = words.short(below.help or "")
    return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    envvar="SVOUCHER_HOME",
    help="Folder of config.yaml, book and archive.  [default: /var/lib/slurm-voucher]",
)
@click.option(
    "--at",
    envvar="SVOUCHER_AT",
    metavar="HOST[:PORT]",
    help="Ask the voucherd there.  [default: slurmctld's host, where no book is readable here]",
)
@click.option("--as-of", metavar="DAY", help="Act as if it were this day; only in a rehearsal.")
@click.version_option(package_name="slurm-voucher")
@click.pass_context
def main(ctx: click.Context, home: str | None, at: str | None, as_of: str | None) -> None:
    """Government compute vouchers (算力券) where the computing happens: in Slurm."""
    from slurm_voucher.cli.site import Site  # loads the database: --help never comes here

    atexit.register(gc.freeze)  # else Python ends by looking for garbage in all that was loaded
    ctx.obj = Site(home, as_of, at)

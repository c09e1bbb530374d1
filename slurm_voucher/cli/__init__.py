"""svoucher: one command, nouns and verbs in the order of the flow.

A command's module is imported only when the command is used, so that --help stays fast.
"""

import importlib
import sys
from typing import Any, NoReturn

import click

from accounting.errors import BookUnavailable, VoucherError

COMMANDS = {
    "init": "book",
    "check": "book",
    "key": "acts",
    "act": "acts",
    "price": "rules",
    "chips": "rules",
    "policy": "rules",
    "provider": "parties",
    "unit": "parties",
    "contract": "parties",
    "member": "parties",
    "topup": "parties",
    "apply": "vouchers",
    "review": "vouchers",
    "voucher": "vouchers",
    "quote": "researcher",
    "balance": "researcher",
    "jobs": "researcher",
    "explain": "researcher",
    "serve": "daemon",
    "holds": "daemon",
    "reconcile": "daemon",
    "import": "usage",
    "collect": "usage",
    "rate": "usage",
    "report": "report",
    "close": "settle",
    "statement": "settle",
    "invoice": "settle",
    "claim": "claims",
    "reserve": "claims",
    "audit": "audit",
}
"""Each command and the module of this package that it stands in."""


class Commands(click.Group):
    """The commands above, found by name; our own errors become one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"slurm_voucher.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except VoucherError as error:
            _exit_with(ctx, error)
        except _database_errors() as error:
            reason = str(error.orig).splitlines()[0]  # type: ignore[attr-defined]
            _exit_with(ctx, BookUnavailable(f"book: {reason}; try again"))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their help, without importing what they need to run."""
        rows = [(name, HELP[name]) for name in COMMANDS]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


HELP = {
    "init": "Make a new book.",
    "check": "Is everything reachable and consistent?",
    "key": "Keys of regulator, treasury and system.",
    "act": "Sign an act, or carry out a signed one.",
    "price": "Price lists: load, show, check.",
    "chips": "The chip catalogue.",
    "policy": "The rules in force.",
    "provider": "Providers (供给方).",
    "unit": "Units (需求方): register and list.",
    "contract": "Contracts; each opens a voucher account.",
    "member": "Who may spend a unit's vouchers.",
    "topup": "Record cash that a unit paid in.",
    "apply": "Apply for a voucher (申领).",
    "review": "Draft the regulator's review of an application.",
    "voucher": "Vouchers that were issued (发放).",
    "quote": "The most that a job can cost.",
    "balance": "What is settled, accrued, held and free.",
    "jobs": "Runs and what they cost.",
    "explain": "One charge, line by line.",
    "serve": "Run voucherd, which answers the submit hook.",
    "holds": "Holds that have not ended.",
    "reconcile": "Bring holds in line with Slurm's queue, once.",
    "import": "Take usage in from a file.",
    "collect": "Take usage in from slurmdbd.",
    "rate": "Rate unrated runs again.",
    "report": "Reports.",
    "close": "Close a month: make its statements.",
    "statement": "Statements (结算单).",
    "invoice": "Invoices (发票): request and record.",
    "claim": "Redemption claims (兑付申请).",
    "reserve": "The reserve fund (备用金).",
    "audit": "Check every rule over the whole book.",
}
"""One line for each command, for the overview; a test holds it to the commands' own help."""


def _exit_with(ctx: click.Context, error: VoucherError) -> NoReturn:
    click.echo(f"svoucher: {error}", err=True)
    ctx.exit(error.exit_code)


def _database_errors() -> tuple[type[Exception], ...]:
    """Return what a database raises when it cannot be used; nothing if none was loaded."""
    loaded = sys.modules.get("sqlalchemy.exc")
    return (loaded.OperationalError,) if loaded else ()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    envvar="SVOUCHER_HOME",
    help="Folder of config.yaml, book and archive.  [default: /var/lib/slurm-voucher]",
)
@click.option("--as-of", metavar="DAY", help="Act as if it were this day; only in a rehearsal.")
@click.version_option(package_name="slurm-voucher")
@click.pass_context
def main(ctx: click.Context, home: str | None, as_of: str | None) -> None:
    """Government compute vouchers (算力券) where the computing happens: in Slurm."""
    from slurm_voucher.cli.site import Site

    ctx.obj = Site(home, as_of)

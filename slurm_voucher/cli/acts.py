"""svoucher key, act: the signatures of regulator, treasury and system."""

import json
from pathlib import Path

import click

from accounting import period
from accounting.book import keys, signing
from accounting.book.ledger import canonical
from accounting.redeem import acts
from slurm_voucher.cli.output import Show, output_options, say
from slurm_voucher.cli.site import PATH, TEXT, Site, pass_site
from slurm_voucher.cli.writing import write


@click.group("key")
def key_() -> None:
    """Keys of regulator, treasury and system."""


@key_.command("make")
@click.argument("file", type=PATH)
@click.option("--actor", required=True, type=TEXT, help="Who will hold it.")
@click.option("--role", required=True, type=click.Choice(["regulator", "treasury", "system"]))
def make(file: Path, actor: str, role: str) -> None:
    """Make a key pair: FILE is secret and stays with its holder, FILE.pub goes to the provider.

    \b
    Example: svoucher key make regulator.key --actor jingxin-ju --role regulator
    """
    public = signing.make_key(file, actor, role)
    say(f"key {public['key']} of {actor} ({role}): {file} is secret, {file}.pub is not")


@key_.command("trust")
@click.argument("file", type=PATH)
@pass_site
def trust(site: Site, file: Path) -> None:
    """Enter a public key into the book, once for each role.

    \b
    Example: svoucher key trust regulator.key.pub
    """
    public = signing.read_json(file)
    with site.begin() as conn:
        row = signing.trust(conn, public, site.stamp())
    say(f"key {row['key_id']} of {row['actor']} ({row['role']}) is trusted")


@key_.command("list")
@output_options
@pass_site
def list_keys(site: Site, show: Show) -> None:
    """List the keys that the book trusts.

    \b
    Example: svoucher key list
    """
    with site.read() as conn:
        rows = keys.listed(conn)
    show(
        [
            {
                "key": row["key_id"],
                "role": row["role"],
                "actor": row["actor"],
                "state": row["kind"] or "in force",
                "by_entry": row["end_seq"],
            }
            for row in rows
        ]
    )


@key_.command("replace")
@click.argument("key", type=TEXT)
@click.argument("file", type=PATH)
@click.option("-o", "--out", required=True, type=PATH, help="Where the draft goes.")
@pass_site
def replace(site: Site, key: str, file: Path, out: Path) -> None:
    """Draft that the public key in FILE takes the place of KEY, which signs it itself.

    \b
    Example: svoucher key replace 3f2a9c0d11e84b67 regulator-2.key.pub -o replace.json
    """
    public = signing.read_json(file)
    with site.read() as conn:
        act = keys.draft_replace(conn, key, public)
    write_draft(act, out)


@key_.command("revoke")
@click.argument("key", type=TEXT)
@click.option("--reason", required=True, type=TEXT, help="Why; it stands in the book.")
@click.option("-o", "--out", required=True, type=PATH, help="Where the draft goes.")
@pass_site
def revoke(site: Site, key: str, reason: str, out: Path) -> None:
    """Draft that KEY is revoked; it signs that itself, or the city's other office does.

    \b
    Example: svoucher key revoke 3f2a9c0d11e84b67 --reason "laptop stolen" -o revoke.json
    """
    with site.read() as conn:
        act = keys.draft_revoke(conn, key, reason)
    write_draft(act, out)


@key_.command("refusals")
@output_options
@pass_site
def list_refusals(site: Site, show: Show) -> None:
    """List signed acts that were refused, with who brought them and why they were.

    \b
    Example: svoucher key refusals
    """
    timezone = site.policy.timezone
    with site.read() as conn:
        rows = acts.refusals(conn)
    show(
        [
            {
                "day": period.day_of(row["effective_s"], timezone).isoformat(),
                "act": row["verb"],
                "subject": row["subject"],
                "sha256": row["sha256"][:16],
                "brought_by": row["actor"],
                "why": row["message"],
            }
            for row in rows
        ]
    )


@click.group("act")
def act_() -> None:
    """Sign an act, or carry out a signed one."""


@act_.command("sign")
@click.argument("draft", type=PATH)
@click.option("--key", "key_file", required=True, type=PATH, help="The signer's secret key.")
@click.option("-o", "--out", required=True, type=PATH, help="Where the signed act goes.")
def sign(draft: Path, key_file: Path, out: Path) -> None:
    """Sign a drafted act. Needs no book: the signer does it on a machine of its own.

    \b
    Example: svoucher act sign review.json --key regulator.key -o review.signed.json
    """
    act = signing.read_json(draft)
    signed = signing.sign(act, signing.read_json(key_file))
    write(out, [canonical(signed), "\n"])
    say(f"{signed['act']} {signed['subject']}: signed by {signed['actor']} in {out}")


@act_.command("accept")
@click.argument("file", type=PATH)
@pass_site
def accept(site: Site, file: Path) -> None:
    """Verify a signed act and carry it out; the book keeps every refusal.

    \b
    Example: svoucher act accept review.signed.json
    """
    signed = signing.read_json(file)
    act, said = acts.accept(
        site.engine, signed, acts.Place(site.policy, site.config.papers, site.stamp())
    )
    say(f"{act.verb} {act.subject} by {act.actor.name} ({act.actor.role}): {said}")


def write_draft(act: dict[str, object], out: Path) -> None:
    """Write a drafted act where its signer can read it first."""
    write(out, [json.dumps(act, ensure_ascii=False, indent=1, sort_keys=True), "\n"])
    say(f"{act['act']} {act['subject']}: drafted in {out}; next: svoucher act sign {out}")

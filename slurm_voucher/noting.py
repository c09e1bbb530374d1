"""The nodes of a cluster, noted beside its runs: every six hours, by whatever collects."""

from accounting.errors import InvalidInput
from accounting.runs import nodes
from accounting.runs.nodes import Note
from slurm_voucher import times
from slurm_voucher.config import Config
from slurm_voucher.sources import nodes as source

EVERY_S = 6 * 3_600
"""How often they are noted: a node that comes or goes counts from the next note on."""
OVERLAP_S = 86_400
"""How far a note reaches back behind the one before: events come to slurmdbd late."""


def is_due(config: Config, cluster: str, now_s: int) -> bool:
    """Tell whether it is time for the next note."""
    last = nodes.latest(config.archive, cluster)
    return last is None or not last.at_s <= now_s < last.at_s + EVERY_S


def note(config: Config, cluster: str, now_s: int, since_s: int | None = None) -> Note:
    """Ask Slurm for its nodes, and keep what it says.

    Args:
        config: The site's settings.
        cluster: Whose.
        now_s: Now.
        since_s: Since when the nodes were those of now, by the operator's word.

    Raises:
        InvalidInput: That lies ahead.
        SlurmUnavailable, UsageInvalid: As `sources.nodes.note`.
    """
    if since_s is not None and since_s > now_s:
        raise InvalidInput(f"nodes: since {times.utc(since_s)} UTC lies ahead; name an earlier day")
    last = nodes.latest(config.archive, cluster)
    told_from_s = (now_s if last is None else min(last.at_s, now_s)) - OVERLAP_S
    held_from_s = now_s if since_s is None else since_s
    found = source.note(
        cluster, min(told_from_s, held_from_s), now_s, held_from_s, config.ssh.get(cluster)
    )
    nodes.keep(config.archive, cluster, found)
    return found

"""Cut the answers of `sacct --json` and slurmrestd into their jobs, one at a time.

Such an answer is an object whose `jobs` is a list. Only where each job begins and ends is found
out here; what stands in it is for a JSON decoder. So a file of any length takes the memory of
one job.
"""

import itertools
import re
from collections.abc import Iterable, Iterator

from accounting.errors import UsageInvalid

ITEM_BYTES = 64 * 2**20
"""How long one job may be: about 20,000 steps."""
DEPTH = 100
"""How deep a job may be nested."""
_MANY = 1_000
"""Groups that are passed by together: what may be gone back to takes memory."""
_PLAIN = rb'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"?[^"{}\[\]]*+)*+'
"""All before a bracket. A text that is cut off ends it, too, and no bracket follows: Python before
3.11.5 (Debian 12 has 3.11.2) does not go back where a repetition with `*+` ends in mid-group."""
_LEAF = rb"[{\[]%b[}\]]" % _PLAIN
_TWIG = rb"[{\[]%b(?>(?:%b%b){0,%d})[}\]]" % (_PLAIN, _LEAF, _PLAIN, _MANY)
_OUTSIDE = re.compile(rb"%b([{}\[\]])" % _PLAIN, re.DOTALL)
"""The next bracket that is not part of a text, with all before it."""
_INSIDE = re.compile(rb"%b(?>(?:%b%b){0,%d})([{}\[\]])" % (_PLAIN, _TWIG, _PLAIN, _MANY), re.DOTALL)
"""The next bracket within an entry: what closes within two brackets is passed by."""
_END = b""
_KEY = re.compile(rb'(?<!\\)"(jobs|errors)"\s*+:\s*+\[\Z')


def items(blocks: Iterable[bytes], source: str) -> Iterator[tuple[str, bytes]]:
    """Yield the entries of the lists `jobs` and `errors` of an answer, as they are written.

    Args:
        blocks: The answer, cut anywhere.
        source: Name of the file, for messages.

    Raises:
        UsageInvalid: It is no such answer, ends within it, goes on behind it, or an entry is too
            long or too deep. It may come after entries.
    """
    kept, size, wanted = [b""], 0, 0
    at, begin, depth, entries = 0, 0, 0, 0
    key, lists, ended = "", set[str](), False
    for block in itertools.chain(blocks, [_END]):
        kept.append(block)
        size += len(block)
        if size < wanted and block is not _END:
            continue
        text = b"".join(kept)
        while match := (_INSIDE if depth > 2 else _OUTSIDE).match(text, at):
            before, at = (b"" if depth > 2 else match[0][:-1].strip()), match.end()
            opens = match[1] in b"{["
            if depth == 0 and (before or ended or match[1] != b"{"):
                raise UsageInvalid(f"{source}: is no single object of JSON; give one answer")
            if depth == 2 and key and before != (b"," if entries and opens else b""):
                raise UsageInvalid(f"{source}: {key} has {_shown(before)}, and not only objects")
            depth += 1 if opens else -1
            if depth > DEPTH:
                raise UsageInvalid(f"{source}: nested more than {DEPTH} deep; no job of Slurm is")
            if depth == 2 and opens:
                found = _KEY.search(match[0])
                key, entries = (found[1].decode() if found else ""), 0
                lists.add(key)
            elif depth == 3 and opens:
                begin, entries = at - 1, entries + 1
            elif depth == 2 and key:
                yield key, text[begin:at]
            ended = depth == 0
        keep = begin if depth > 2 else at
        kept, size = [text[keep:]], len(text) - keep
        at, begin, wanted = at - keep, 0, 2 * size  # what was looked at in vain is twice as long
        if size > ITEM_BYTES:
            raise UsageInvalid(f"{source}: an entry of more than {ITEM_BYTES} bytes; is it JSON?")
    if not ended or kept[0].strip():
        raise UsageInvalid(f"{source}: the JSON does not end as it should; is the file whole?")
    if "jobs" not in lists:
        raise UsageInvalid(f"{source}: has no list of jobs; write it with sacct --json")


def _shown(text: bytes) -> str:
    """Show a few bytes."""
    return repr(text[:40].decode("utf-8", "replace")) if text else "no comma"

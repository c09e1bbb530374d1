"""What a job asks for, in sbatch's own words: options, #SBATCH lines of a script, variables.

As for sbatch the command line comes before the environment, and that before the script; options
stand before the script, and behind it they are the script's own. What does not change what a job
costs is read over; what would, and cannot be priced, is named.

Source:
    sbatch(1) of 26.05; slurm/src/common/slurm_opt.c; slurm/src/sbatch/opt.c, _opt_batch_script
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from accounting.errors import InvalidInput
from slurm_voucher import times, tres

SCRIPT_BYTES_MAX = 4 << 20
"""Slurm's own highest max_script_size."""
SHOWN = 48


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SHORT = {
    "A": "account", "a": "array", "B": "extra-node-info", "b": "begin", "C": "constraint",
    "c": "cpus-per-task", "D": "chdir", "d": "dependency", "e": "error", "F": "nodefile",
    "G": "gpus", "H": "hold", "h": "help", "i": "input", "J": "job-name", "k": "no-kill",
    "L": "licenses", "M": "clusters", "m": "distribution", "N": "nodes", "n": "ntasks",
    "O": "overcommit", "o": "output", "p": "partition", "Q": "quiet", "q": "qos",
    "S": "core-spec", "s": "oversubscribe", "t": "time", "u": "usage", "V": "version",
    "v": "verbose", "W": "wait", "w": "nodelist", "x": "exclude",
}  # fmt: skip
OWN = frozenset({"json", "csv", "help"})
"""Flags of svoucher quote itself."""
FLAGS = OWN | _words(
    "consolidate-segments contiguous external hold ignore-pbs no-requeue overcommit"
    " oversubscribe parsable quiet reboot requeue spread-job stepmgr test-only usage"
    " use-min-nodes verbose version wait"
)
MAYBE = _words("exclusive get-user-env nice no-kill oom-kill-step propagate resv-ports")
"""What takes an argument only behind = or glued to its letter."""
UNCLEAR = _words(
    "clusters core-spec cores-per-socket extra-node-info hint nodefile ntasks-per-core"
    " ntasks-per-gpu ntasks-per-socket overcommit sockets-per-node thread-spec threads-per-core"
)
"""What may change how much a job is given, and is not priced here."""
PRICED = _words(
    "array cpus-per-gpu cpus-per-task exclusive gpus gpus-per-node gpus-per-socket gpus-per-task"
    " gres mem mem-per-cpu mem-per-gpu mincpus nodelist nodes ntasks ntasks-per-node partition qos"
    " time tres-per-task voucher"
)
_OTHERS = _words(
    "account acctg-freq batch bb bbf begin chdir cluster cluster-constraint comment constraint"
    " container container-id cpu-freq deadline delay-boot dependency distribution error"
    " exclude export export-file extra gid gpu-bind gpu-freq gres-flags input job-name"
    " kill-on-invalid-dep licenses mail-type mail-user mcs-label mem-bind network open-mode"
    " output power prefer priority profile reservation segment signal switches time-min tmp"
    " tree-width tres-bind uid umask wait-all-nodes wckey wrap"
)
WITH_ARGUMENT = (PRICED | UNCLEAR | _OTHERS) - FLAGS - MAYBE
KNOWN = FLAGS | MAYBE | WITH_ARGUMENT
INSTEAD = ({"mem", "mem-per-cpu", "mem-per-gpu"},)
"""Of each of these the one that comes last takes the place of the others."""
VARIABLES = {
    "SBATCH_ARRAY_INX": "array", "SBATCH_CLUSTERS": "clusters",
    "SBATCH_CPUS_PER_GPU": "cpus-per-gpu", "SBATCH_EXCLUSIVE": "exclusive", "SBATCH_GPUS": "gpus",
    "SBATCH_GPUS_PER_NODE": "gpus-per-node", "SBATCH_GPUS_PER_TASK": "gpus-per-task",
    "SBATCH_GRES": "gres", "SBATCH_MEM_PER_CPU": "mem-per-cpu", "SBATCH_MEM_PER_GPU": "mem-per-gpu",
    "SBATCH_MEM_PER_NODE": "mem", "SBATCH_OVERCOMMIT": "overcommit",
    "SBATCH_PARTITION": "partition", "SBATCH_QOS": "qos", "SBATCH_TIMELIMIT": "time",
    "SLURM_VOUCHER": "voucher",
}  # fmt: skip

_NODES = re.compile(r"(\d{1,9}[kKmM]?)(?:-(\d{1,9}[kKmM]?))?", re.ASCII)
_NO_LIMIT = frozenset({"0", "-1", "INFINITE", "UNLIMITED"})
_WHOLE = (None, "", "exclusive")
"""What says behind --exclusive that a job wants whole nodes."""
Option = tuple[str, str | None]
"""Long name, and the argument if there is one."""


@dataclass(frozen=True)
class Asked:
    """What a job asks for.

    Attributes:
        fields: As of a HOLD question, see protocol.py.
        voucher: Account that it names. None: none.
        unclear: Words that may change what it costs and are not in the fields.
    """

    fields: Mapping[str, str]
    voucher: str | None
    unclear: Sequence[str]


def read(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> Asked:
    """Read a command line of sbatch, with the script that it names.

    Raises:
        click.UsageError: Words that sbatch would not take either.
        InvalidInput: The script cannot be read, or is none.
    """
    options, rest = split(words)
    layers = [[(name, environ[key] or None) for key, name in VARIABLES.items() if key in environ]]
    unclear: list[str] = []
    if rest and rest[0] != ":":
        script = _script(Path(rest[0]))
        layers.insert(0, [option for line in directives(script) for option in of_line(line)])
        unclear += _of_others(script)
        unclear += [f"{word} behind {rest[0]}" for word in rest[1:] if _is_priced(word)]
    if ":" in rest:
        unclear.append("the parts of the job behind ':'")
    return asked_by([*layers, options], unclear)


def asked_by(layers: Sequence[Sequence[Option]], unclear: Sequence[str] = ()) -> Asked:
    """Put options together, those of a later layer in place of an earlier one's.

    Args:
        unclear: What is known not to be understood.
    """
    asked: dict[str, str | None] = {}
    for name, value in (option for layer in layers for option in layer):
        for names in INSTEAD:
            if name in names:
                asked = {key: kept for key, kept in asked.items() if key not in names}
        asked[name] = value
    odd = [_shown(name, value) for name, value in asked.items() if _is_unclear(name, value)]
    return Asked(_fields(asked), asked.get("voucher") or None, [*unclear, *odd])


def split(words: Sequence[str]) -> tuple[list[Option], list[str]]:
    """Split words into options, and the script with its arguments.

    Raises:
        click.UsageError: An option without its argument, or the begin of several.
    """
    found: list[Option] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        found += _long(word[2:], rest) if word.startswith("--") else _short(word[1:], rest)
    return found, rest


def _long(word: str, rest: list[str]) -> Iterator[Option]:
    given, equals, value = word.partition("=")
    name = _whole(given)
    if equals:
        yield name, value
    elif name in WITH_ARGUMENT:
        yield name, _next(f"--{name}", rest)
    elif name not in KNOWN and rest and not rest[0].startswith("-") and not Path(rest[0]).exists():
        yield name, rest.pop(0)  # of a plugin of the site: what is no script is its argument
    else:
        yield name, None


def _whole(given: str) -> str:
    """Return the option that a word is, or is the begin of; what is none stays as it is."""
    if given in KNOWN:
        return given
    begun = sorted(name for name in KNOWN if name.startswith(given)) if given else []
    if len(begun) > 1:
        raise click.UsageError(f"--{given[:SHOWN]}: may be {', '.join(begun[:4])}; write it out")
    return begun[0] if begun else given


def _short(letters: str, rest: list[str]) -> Iterator[Option]:
    """Yield flags glued together, the last of them maybe with its argument."""
    while letters:
        letter, letters = letters[0], letters[1:]
        name = SHORT.get(letter, letter)
        if name in MAYBE:
            yield name, letters or None
            return
        if name in WITH_ARGUMENT:
            yield name, letters or _next(f"-{letter}", rest)
            return
        yield name, None


def _next(option: str, rest: list[str]) -> str:
    if not rest:
        raise click.UsageError(f"{option}: needs an argument")
    return rest.pop(0)


# --- the script ------------------------------------------------------------------------------


def _script(path: Path) -> list[str]:
    """Return the lines at a script's top that are comments or empty; a command ends them.

    Raises:
        InvalidInput: It cannot be read, or sbatch would not take it.
    """
    shown = ascii(str(path))[1:-1][:200]
    try:
        with path.open("rb") as file:
            text = file.read(SCRIPT_BYTES_MAX).decode("utf-8", "replace")
    except (OSError, ValueError) as error:  # a NUL in a name is a ValueError
        reason = error.strerror if isinstance(error, OSError) else "is no name of a file"
        raise InvalidInput(f"script {shown}: {reason}; name one as for sbatch") from None
    if not text.startswith("#!"):
        raise InvalidInput(
            f"script {shown}: its first line does not begin with #!; sbatch wants it"
        )
    if "\r\n" in text:
        raise InvalidInput(f"script {shown}: has DOS line ends, which sbatch refuses; see dos2unix")
    lines = []
    for line in text.split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        lines.append(line)
    return lines


def directives(lines: Sequence[str]) -> Iterator[str]:
    """Yield what stands in #SBATCH lines; those of a later part of a job are not of the first."""
    for line in lines:
        if line.startswith("#SBATCH"):
            text = line.removeprefix("#SBATCH")
            if text.split()[:1] in (["hetjob"], ["packjob"]):
                return
            yield text


def _of_others(lines: Sequence[str]) -> list[str]:
    """Name what else at a script's top sbatch would read."""
    heads = [line.split()[0] for line in lines if line.startswith(("#PBS", "#BSUB"))]
    parts = [line for line in lines if re.match(r"#SBATCH\s+(het|pack)job\b", line)]
    return [*dict.fromkeys(f"{head[:SHOWN]} lines" for head in heads), *parts[:1]]


def of_line(text: str) -> list[Option]:
    """Return the options of one of these lines."""
    options, rest = split(list(_arguments(text)))
    if rest:
        raise click.UsageError(
            f"#SBATCH {text.strip()[:SHOWN]!r}: {rest[0][:SHOWN]!r} is no option"
        )
    return options


def _arguments(text: str) -> Iterator[str]:
    """Split a line into words: quotes and backslashes as in a shell, # begins a comment."""
    word, quote, begun = "", "", False
    letters = iter(text)
    for letter in letters:
        if letter == "\\" and quote != "'":
            word, begun = word + next(letters, ""), True
        elif quote:
            word, quote = (word, "") if letter == quote else (word + letter, quote)
        elif letter in "'\"":
            quote, begun = letter, True
        elif letter.isspace():
            if begun:
                yield word
            word, begun = "", False
        elif letter == "#" and not begun:
            return
        else:
            word, begun = word + letter, True
    if quote:
        raise click.UsageError(f"#SBATCH {text.strip()[:SHOWN]!r}: a quote is not closed")
    if begun:
        yield word


# --- what is priced --------------------------------------------------------------------------


def _is_unclear(name: str, value: str | None) -> bool:
    if name == "exclusive":
        return value not in (*_WHOLE, "user", "mcs")
    return name in UNCLEAR or name not in KNOWN


def _is_priced(word: str) -> bool:
    name, _, _ = word.removeprefix("--").partition("=")
    glued = SHORT.get(word[1:2], "") if word[:1] == "-" and word[1:2] != "-" else name
    return word.startswith("-") and glued in PRICED - {"voucher"}


def _shown(name: str, value: str | None) -> str:
    dashes = "-" if len(name) == 1 else "--"
    shown = f"{dashes}{name}" + (f"={value}" if value else "")
    return shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…"


def _fields(asked: Mapping[str, str | None]) -> dict[str, str]:
    """Return the fields of a HOLD question, as the submit hook writes them."""
    fields: dict[str, str] = {}
    for name, (key, read_) in _READERS.items():
        value = asked.get(name)
        if value:
            try:
                fields[key] = read_(value)
            except ValueError as error:
                raise click.BadParameter(str(error), param_hint=f"--{name}") from None
    if asked.get("nodes"):
        fields |= _nodes(str(asked["nodes"]))
    for key, parts in _CARDS.items():
        cards = [
            ",".join(f"{prefix}{one}" for one in str(asked[name]).split(","))
            for name, prefix in parts.items()
            if asked.get(name)
        ]
        if cards:
            fields[key] = ",".join(cards)
    if "exclusive" in asked and asked["exclusive"] in _WHOLE:
        fields["exclusive"] = "1"
    return fields


_CARDS = {
    "tres_per_job": {"gpus": "gpu:"},
    "tres_per_node": {"gres": "", "gpus-per-node": "gpu:"},
    "tres_per_socket": {"gpus-per-socket": "gpu:"},
    "tres_per_task": {"tres-per-task": "", "gpus-per-task": "gpu:"},
}
"""How cards are asked for, and what stands before a number or a type of them."""


def _number(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise ValueError(f"{text[:SHOWN]!r} is no number from 1 to 999999999")
    return str(int(text))


def _minutes(text: str) -> str:
    if text.upper() in _NO_LIMIT:
        return "unlimited"
    try:
        minutes = times.limit_minutes(text)
    except ValueError as error:
        raise ValueError(f"{text[:SHOWN]!r}: {error}") from None
    return "unlimited" if minutes is None else str(minutes)


def _memory_mb(text: str) -> str:
    return str(tres.asked_mb(text))


def _nodes(text: str) -> dict[str, str]:
    found = [_NODES.fullmatch(part.partition(":")[0]) for part in text.split(",")]
    if None in found:
        raise click.BadParameter(f"{text[:SHOWN]!r} is no number of nodes", param_hint="--nodes")
    sizes = [_size(size) for match in found if match for size in match.groups() if size]
    if min(sizes) < 1:
        raise click.BadParameter("0 is no number of nodes", param_hint="--nodes")
    return {"min_nodes": str(min(sizes)), "max_nodes": str(max(sizes))}


def _size(text: str) -> int:
    times_ = {"k": 1024, "m": 1024**2}.get(text[-1].lower(), 1)
    return int(text.rstrip("kKmM")) * times_


_READERS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "partition": ("partition", str),
    "qos": ("qos", str),
    "array": ("array", str),
    "time": ("time_limit", _minutes),
    "ntasks": ("num_tasks", _number),
    "ntasks-per-node": ("ntasks_per_node", _number),
    "cpus-per-task": ("cpus_per_task", _number),
    "mem": ("mem_per_node_mb", _memory_mb),
    "mem-per-cpu": ("mem_per_cpu_mb", _memory_mb),
    "mem-per-gpu": ("mem_per_tres", lambda text: f"gpu:{_memory_mb(text)}"),
    "cpus-per-gpu": ("cpus_per_tres", "gpu:{}".format),
    "mincpus": ("pn_min_cpus", _number),
    "nodelist": ("req_nodes", str),
}

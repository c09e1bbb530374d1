"""What a site lets become of jobs that no voucher covers: they wait, and running ones go on, unless
its config.yaml says otherwise."""

from dataclasses import dataclass, field

from accounting.errors import ConfigInvalid
from accounting.yamlfile import at, kind, listed, need, only
from slurm_voucher import warning

ALL = "all"
GRACE_S = 3_600
GRACE_S_MAX = 30 * 86_400


@dataclass(frozen=True)
class EndRunning:
    """What a site says under `end_running`.

    Attributes:
        accounts: Whose running jobs may be ended; ALL among them stands for everybody's.
        grace_s: How long after it was told.
        command: What is told.
    """

    accounts: frozenset[str] = frozenset()
    grace_s: int = GRACE_S
    command: tuple[str, ...] = ()

    def covers(self, account: str) -> bool:
        """Tell whether an account's running jobs may be ended."""
        return account in self.accounts or ALL in self.accounts


def read(value: object, command: tuple[str, ...], where: str) -> EndRunning:
    """Read the mapping `end_running` of config.yaml; without one nothing is ended.

    Args:
        command: The site's for warnings, where this names none of its own.

    Raises:
        ConfigInvalid: A key is unknown or of another kind, or nobody would be told.
    """
    keys = only(value, ("accounts", "grace_s", "command"), where)
    if not keys:
        return EndRunning()
    if keys.get("accounts") == ALL:
        accounts = [ALL]
    else:
        accounts = [kind(name, str, place) for name, place in listed(keys, "accounts", where)]
    grace_s = need({"grace_s": GRACE_S} | keys, "grace_s", int, where)
    if not 0 < grace_s <= GRACE_S_MAX:
        raise ConfigInvalid(
            f"{at(where, 'grace_s')}: {grace_s} is not between 1 and {GRACE_S_MAX}; jobs are told "
            "before they are ended"
        )
    command = warning.command(keys, where) or command
    if not command:
        raise ConfigInvalid(f"{where}: 0 commands are told, 1 must be; set warn.command or command")
    return EndRunning(frozenset(accounts), grace_s, command)


@dataclass(frozen=True)
class Choices:
    """A site's choices.

    Attributes:
        self_pay: Waiting jobs whose account does not cover them any more go on without it.
        unnamed_self_pay: So do those that name none, where their user has not just one account.
        end_running: Whose running jobs are ended, and when.
    """

    self_pay: bool = False
    unnamed_self_pay: bool = False
    end_running: EndRunning = field(default_factory=EndRunning)


NOTHING_CHOSEN = Choices()
"""All wait, and nothing is ended."""

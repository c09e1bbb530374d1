"""Everything slurm-voucher raises on purpose, split by who has to act.

* VoucherError
  x Refused               the rules say no; the user acts            exit 1
    + InsufficientBalance
    + VoucherExpired
    + NotEligible
    + NotAllowed
    + CapReached
  x InvalidInput          a file or a record is wrong; staff act     exit 3
    + ConfigInvalid
    + TariffMissing
    + UsageInvalid
  x Unavailable           no answer in time; try again               exit 4
    + SlurmUnavailable
    + BookUnavailable
  x InvariantBroken       the book does not add up; stop posting     exit 5

Exit 2 is click's, for wrong usage. A message has four parts in one line: subject, figure,
limit, next act. `code` is stable: it goes over the wire, into ``--json`` and into tests.
"""


class VoucherError(Exception):
    """Base of all errors that a user or a member of staff may see."""

    code = "error"
    exit_code = 1


class Refused(VoucherError):
    """The rules say no; the user acts."""

    code = "refused"
    exit_code = 1


class InsufficientBalance(Refused):
    """What is left does not cover what was asked for."""

    code = "insufficient_balance"


class VoucherExpired(Refused):
    """The voucher is not valid at that instant."""

    code = "voucher_expired"


class NotEligible(Refused):
    """The unit, contract or cluster does not qualify."""

    code = "not_eligible"


class NotAllowed(Refused):
    """This actor may not do this."""

    code = "not_allowed"


class CapReached(Refused):
    """A limit of the policy is used up; `wanted_fen` is what there would have been without it."""

    code = "cap_reached"

    def __init__(self, message: str, wanted_fen: int) -> None:
        super().__init__(message)
        self.wanted_fen = wanted_fen


class InvalidInput(VoucherError):
    """A file or a record is wrong; staff act."""

    code = "invalid_input"
    exit_code = 3


class ConfigInvalid(InvalidInput):
    """A configuration, policy, tariff or catalogue file is wrong."""

    code = "config_invalid"


class TariffMissing(InvalidInput):
    """No price, chip or map entry covers this."""

    code = "tariff_missing"


class UsageInvalid(InvalidInput):
    """A usage record cannot be read."""

    code = "usage_invalid"


class Unavailable(VoucherError):
    """No answer in time; try again."""

    code = "unavailable"
    exit_code = 4


class SlurmUnavailable(Unavailable):
    """A Slurm command or daemon did not answer."""

    code = "slurm_unavailable"


class BookUnavailable(Unavailable):
    """The book is not there or is locked."""

    code = "book_unavailable"


class InvariantBroken(VoucherError):
    """The book does not add up; stop posting."""

    code = "invariant_broken"
    exit_code = 5

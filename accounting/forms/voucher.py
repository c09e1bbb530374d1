"""The certificate of a voucher (凭证) as a paper; what was signed goes with it as a file."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import ledger
from accounting.forms.naming import CATEGORIES
from accounting.forms.paper import Field, Kind, Paper, amount
from accounting.policy import Policy
from accounting.vouchers import certificate
from accounting.vouchers.registry import find


def paper(
    conn: Connection, voucher_id: str, key: Mapping[str, Any], policy: Policy, effective_s: int
) -> Paper:
    """Describe the certificate of a voucher, signed with the book's own key.

    Raises:
        InvalidInput: The voucher is unknown.
        NotAllowed: This is not the book's key in force.
    """
    made = certificate.make(conn, voucher_id, key, policy, effective_s)
    return Paper(
        title="算力券凭证",
        number=made["voucher"],
        rehearsal=made["rehearsal"],
        made_s=period.instant(date.fromisoformat(made["made_on"]), policy.timezone),
        fields=(
            Field("算力券编号", made["voucher"]),
            Field("算力券账户", made["account"]),
            Field("需求方", made["unit"]["name"]),
            Field("统一社会信用代码", made["unit"]["credit_code"]),
            Field("供给方", find(conn, "provider", id=made["provider"]).name),
            Field("合同编号", made["contract"]),
            *amount("票面金额", made["amount_fen"]),
            Field("有效期自", made["first_day"], Kind.DAY),
            Field("有效期至（含）", made["last_day"], Kind.DAY),
            Field("类别", CATEGORIES.get(made["category"], made["category"])),
            Field("开具日期", made["made_on"], Kind.DAY),
            Field("政策依据", policy.source, wide=True),
        ),
        notes=(
            "本凭证记载发放时的金额，余额以账簿为准；持有本凭证不产生任何权利。",
            f"账簿 {made['book']}",
            f"截至账簿第 {made['head']['seq']} 号记录，SHA-256：{made['head']['hash']}",
            f"签名密钥 {made['key']}，Ed25519：{made['signature']}",
        ),
        seals=("主管部门（盖章）", "需求方（盖章）"),
        attached={"certificate.json": f"{ledger.canonical(made)}\n".encode()},
    )

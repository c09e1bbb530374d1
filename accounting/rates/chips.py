"""How fast a card is: dense FP16 throughput by chip, with its source, in versioned catalogues.

A catalogue is data of the package and is never edited; better figures are a new version. What a
card is called in Slurm is the tariff's business: nothing is guessed from a name here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from accounting import yamlfile
from accounting.errors import ConfigInvalid

GFLOPS_PER_TFLOPS = 1_000
WHOLE = 1_000
"""Thousandths of a card that is not divided."""
STATUSES = ("vendor", "reported", "derived", "site", "unverified")
"""Who stands for a figure: the maker of the chip, somebody who published it, who worked it out from
another, the site that runs the chip, or nobody yet."""

_TFLOPS = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,3}))?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


@dataclass(frozen=True, slots=True)
class Chip:
    """One kind of card.

    Attributes:
        key: What tariffs call it: ascend_910b2.
        name: What people call it: Ascend 910B2.
        gflops: Dense FP16 GFLOPS of one card, > 0.
        source: Where the figure comes from.
        status: One of STATUSES.
    """

    key: str
    name: str
    gflops: int
    source: str
    status: str

    @property
    def tflops(self) -> str:
        """Exact TFLOPS as text: 24.5, 376."""
        whole, part = divmod(self.gflops, GFLOPS_PER_TFLOPS)
        return f"{whole}.{part:03d}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards of one sort."""

    gres: str
    count: int
    chip: Chip
    thousandths: int = WHOLE

    @property
    def mflops(self) -> int:
        """Of all of them; a thousandth of a GFLOPS for each thousandth of a card."""
        return self.count * self.chip.gflops * self.thousandths


def gflops(text: str, where: str) -> int:
    """Read TFLOPS with at most three decimals as GFLOPS: '24.5' is 24500."""
    match = _TFLOPS.fullmatch(text)
    figure = int(match[1] + (match[2] or "").ljust(3, "0")) if match else 0
    if figure == 0:
        raise ConfigInvalid(f"{where}: {text!r} is no TFLOPS figure above 0, such as 24.5 or 376")
    return figure


def parse(entries: Mapping[str, Any], where: str) -> dict[str, Chip]:
    """Read chips by key, each a mapping of name, tflops, source and status."""
    found = {}
    for key, value in entries.items():
        here = yamlfile.at(where, key)
        entry = yamlfile.only(value, ("name", "tflops", "source", "status"), here)
        fields = {name: yamlfile.need(entry, name, str, here) for name in ("name", "source")}
        speed = gflops(yamlfile.need(entry, "tflops", str, here), yamlfile.at(here, "tflops"))
        status = yamlfile.need(entry, "status", str, here)
        if status not in STATUSES:
            known = ", ".join(STATUSES)
            raise ConfigInvalid(f"{here}: status {status!r} is unknown; use one of {known}")
        found[key] = Chip(key=key, gflops=speed, status=status, **fields)
    return found


def catalogue(version: str, where: str = "chip catalogue") -> dict[str, Chip]:
    """Load a packaged catalogue.

    Args:
        version: Its version, such as 2024-07.
        where: Who asks for it, for the message.

    Raises:
        ConfigInvalid: There is no such catalogue, or it is wrong.
    """
    if version not in versions():
        known = ", ".join(versions())
        raise ConfigInvalid(f"{where}: catalogue {version!r} is not packaged; use one of {known}")
    source = f"chips-{version}.yaml"
    text = (resources.files("accounting") / "catalogues" / source).read_text(encoding="utf-8")
    content = yamlfile.only(yamlfile.read(text, source), ("catalogue", "chips"), source)
    if yamlfile.need(content, "catalogue", str, source) != version:
        raise ConfigInvalid(f"{source}: catalogue {content['catalogue']!r} is not the file's own")
    return parse(yamlfile.need(content, "chips", dict, source), yamlfile.at(source, "chips"))


def versions() -> list[str]:
    """List the packaged catalogues, oldest name first."""
    names = [entry.name for entry in (resources.files("accounting") / "catalogues").iterdir()]
    stems = [name.removeprefix("chips-").removesuffix(".yaml") for name in sorted(names)]
    return [stem for stem in stems if f"chips-{stem}.yaml" in names and _VERSION.fullmatch(stem)]

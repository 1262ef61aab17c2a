"""What an hour of a node costs, as the user says it: prices in the code would go stale."""

import csv
import math
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator

from tasks.errors import InputError
from tasks.spec.local_paths import locate_path
from tasks.spec.named_patterns import REGION
from tasks.spec.specs import PoolSpec, Spec

SECONDS_PER_HOUR = 3600
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
COLUMNS = ("vm_size", "per_hour", "spot_per_hour")


class PriceSpec(Spec):
    """What a node costs. Prices differ by region, contract and day: Azure's own are at
    https://azure.microsoft.com/pricing/details/virtual-machines/linux/ ."""

    per_hour: Price | None = Field(
        default=None, description="What a dedicated node costs an hour.", examples=[0.096]
    )
    spot_per_hour: Price | None = Field(default=None, description="What a Spot node costs an hour.")
    table: str | None = Field(
        default=None,
        description="Or a CSV file with the columns vm_size, per_hour and spot_per_hour, on the machine "
        "where the flow runs.",
        examples=["prices.csv"],
    )
    public: bool = Field(
        default=False,
        title="Azure's public price list",
        description="Ask https://prices.azure.com for what is not given above: retail prices, of nodes with "
        "Linux. Where it can't be reached nothing is told of prices.",
    )
    region: Annotated[str, Field(pattern=REGION)] | None = Field(
        default=None,
        description="Of which region the public prices are. Empty: that of the Batch account.",
        examples=["westeurope"],
    )
    currency: str = Field(default="USD", max_length=10, description="In which these are.")

    @model_validator(mode="after")
    def listed_currency(self) -> "PriceSpec":
        if self.public and not re.fullmatch("[A-Z]{3}", self.currency):
            raise ValueError("currency: public prices are in one such as USD or EUR")
        return self


DEFAULT_PRICES = PriceSpec()


@dataclass(frozen=True)
class NodeHours:
    """How long nodes have lived, all together, in hours."""

    dedicated: float = 0.0
    spot: float = 0.0

    @property
    def total(self) -> float:
        return self.dedicated + self.spot

    def __add__(self, others: "NodeHours") -> "NodeHours":
        return NodeHours(self.dedicated + others.dedicated, self.spot + others.spot)

    def __str__(self) -> str:
        kinds = ((self.dedicated, "dedicated"), (self.spot, "Spot"))
        said = (f"{_say_number(hours)} {kind}" for hours, kind in kinds if hours)
        return " and ".join(said) or "0"


def say_amount(amount: float, currency: str) -> str:
    """An amount as one writes it."""
    return f"{_say_number(amount)} {currency}"


def _say_number(number: float) -> str:
    """A number with two decimals; small ones with what would else be rounded away, as of a run of seconds."""
    if number >= 1 or number <= 0:
        return f"{number:,.2f}"
    return f"{number:.{max(4, 1 - math.floor(math.log10(number)))}f}"


@dataclass(frozen=True)
class Prices:
    """What nodes of one VM size cost an hour; None: not known."""

    dedicated: float | None
    spot: float | None
    currency: str

    def cost(self, hours: NodeHours) -> float | None:
        """What so many hours cost; None if the price of some of them is not known."""
        parts = ((hours.dedicated, self.dedicated), (hours.spot, self.spot))
        if any(part and price is None for part, price in parts):
            return None
        return sum(part * (price or 0.0) for part, price in parts)

    def leave_unpriced(self, hours: NodeHours) -> NodeHours:
        """Those of the hours whose price is not known."""
        return NodeHours(
            hours.dedicated if self.dedicated is None else 0.0, hours.spot if self.spot is None else 0.0
        )

    def cost_of_known(self, hours: NodeHours) -> float:
        """What those of the hours cost whose price is known."""
        return hours.dedicated * (self.dedicated or 0.0) + hours.spot * (self.spot or 0.0)


def find_prices(given: PriceSpec, pool: PoolSpec, listed: Prices | None = None) -> Prices | None:
    """The prices of the pool's VM size, or None if nothing is said of them: as given, else of the table, else
    as publicly listed.

    Raises InputError for a table that can't be read, or that lacks the size.
    """
    row = _read_row(given.table, pool.vm_size) if given.table else {}
    dedicated, spot = given.per_hour, given.spot_per_hour
    dedicated = row.get("per_hour") if dedicated is None else dedicated
    spot = row.get("spot_per_hour") if spot is None else spot
    if listed is not None:
        dedicated = listed.dedicated if dedicated is None else dedicated
        spot = listed.spot if spot is None else spot
    return None if dedicated is None and spot is None else Prices(dedicated, spot, given.currency)


def check_max_cost(max_cost: float | None, prices: Prices | None, pool: PoolSpec, given: PriceSpec) -> None:
    """Raise InputError for a limit that could not be held, as no price is known by what was given."""
    if max_cost is None:
        return
    wanted = NodeHours(pool.dedicated_nodes, pool.low_priority_nodes)
    if prices is None or prices.cost(wanted) is None:
        missing = "prices.per_hour" if pool.dedicated_nodes else "prices.spot_per_hour"
        if prices is not None and prices.dedicated is not None:
            missing = "prices.spot_per_hour"
        other = "prices.table" if given.public else "prices.table, or prices.public"
        but = ", and the public list has not told it" if given.public else ""
        raise InputError(f"max_cost needs to know what a node costs{but}: give {missing}, or {other}.")


def describe_estimate(prices: Prices, pool: PoolSpec, timeout_seconds: float) -> str | None:
    """What the pool costs at the most, in words; None if the price of some of its nodes is not known."""
    # Also where the one kind stands in for the other: both are there until those have finished what they run.
    an_hour = prices.cost(NodeHours(pool.dedicated_nodes, pool.low_priority_nodes))
    if an_hour is None:
        return None
    amounts = (an_hour, an_hour * timeout_seconds / SECONDS_PER_HOUR)
    hourly, whole = (say_amount(amount, prices.currency) for amount in amounts)
    return f"at most {hourly} an hour, {whole} within the time limit of the run"


def describe_hours(
    pool: PoolSpec,
    timeout_seconds: float,
    files: int = 0,
    seconds_each: float | None = None,
    files_per_node: int = 1,
) -> str:
    """How many node-hours a run comes to, in words: at the most, and, if it is known how long such files have
    taken, about: a node works on so many at once, and the pool has only the nodes that its tasks need."""
    hours = (pool.dedicated_nodes + pool.low_priority_nodes) * timeout_seconds / SECONDS_PER_HOUR
    said = f"at most {hours:.4g} node-hours within the time limit of the run"
    if not files or seconds_each is None:
        return said
    work = files * seconds_each / files_per_node / SECONDS_PER_HOUR
    each = f"such a file has taken {seconds_each:.2g} s so far"
    return f"{said}; about {work:.2g}, and the nodes' start and idle time, as {each}"


def _read_row(path: str, vm_size: str) -> dict[str, float | None]:
    """A table's prices of a VM size."""
    try:
        with locate_path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = [*csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"prices.table: {path} can't be read: {error}.") from error
    if rows and not set(COLUMNS[:2]) <= set(rows[0]):
        raise InputError(f"prices.table: the first line of {path} has to be {','.join(COLUMNS)}.")
    for row in rows:
        if (row["vm_size"] or "").strip().casefold() == vm_size.casefold():
            return {column: _read_price(path, row.get(column)) for column in COLUMNS[1:]}
    raise InputError(f"prices.table: {path} has no line for {vm_size}.")


def _read_price(path: str, text: str | None) -> float | None:
    if not text or not text.strip():
        return None
    try:
        price = float(text)
    except ValueError:
        price = -1.0
    if not 0 <= price < float("inf"):
        raise InputError(f"prices.table: {text!r} in {path} is no price: write it like 0.096.")
    return price

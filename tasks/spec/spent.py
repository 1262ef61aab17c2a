"""What the nodes of a run have come to, in hours and money, and in words."""

from dataclasses import dataclass, field

from tasks.spec.prices import NodeHours, say_amount


@dataclass(frozen=True)
class SizeSpent:
    """What nodes of another VM size have come to, which an earlier attempt of the run had."""

    vm_size: str
    hours: NodeHours
    cost: float | None = None
    """None if that is not known, or in another currency."""


@dataclass(frozen=True)
class Spent:
    """What the nodes of a run have come to, in all its attempts."""

    hours: NodeHours
    cost: float | None = None
    """That of all of them whose price is known; None if it is known of none."""

    currency: str = ""
    unpriced: NodeHours = field(default_factory=NodeHours)
    """Those of them whose price is not known."""

    earlier: NodeHours = field(default_factory=NodeHours)
    """Those of them in earlier attempts of the run."""

    vm_size: str = ""
    others: tuple[SizeSpent, ...] = ()
    """What comes to these, of other VM sizes."""

    @property
    def all_hours(self) -> NodeHours:
        """Those of nodes of whatever size."""
        return sum((one.hours for one in self.others), self.hours)

    def brief(self) -> str:
        """How much it is, for where there is little room."""
        said = f"{self.all_hours} node-hours"
        return said if self.cost is None else f"{said}, {say_amount(self.cost, self.currency)}"

    def __str__(self) -> str:
        said = f"{self.hours} node-hours" + (f" of {self.vm_size}" if self.vm_size else "")
        said += f" ({self.earlier} in earlier attempts)" if self.earlier.total else ""
        said += "".join(f" and {one.hours} of {one.vm_size} in earlier attempts" for one in self.others)
        if self.cost is None:
            return said
        said += f", about {say_amount(self.cost, self.currency)}"
        unpriced = sum((one.hours for one in self.others if one.cost is None), self.unpriced)
        return f"{said} without {unpriced}, whose price is not known" if unpriced.total else said

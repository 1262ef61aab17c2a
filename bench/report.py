"""What a measurement says: a value beside what bounds it, measured in the same run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """What the project has set itself for a ratio."""

    ratio: float
    is_least: bool = False
    """Whether more is better."""

    def is_met_by(self, ratio: float) -> bool:
        return ratio >= self.ratio if self.is_least else ratio <= self.ratio

    def __str__(self) -> str:
        return f"{'at least' if self.is_least else 'at most'} {_number(self.ratio)}"


def at_most(ratio: float) -> Target:
    return Target(ratio)


def at_least(ratio: float) -> Target:
    return Target(ratio, is_least=True)


@dataclass(frozen=True)
class Row:
    """`limit` is in the same unit and says what `of` can do at best, or does with less to do."""

    name: str
    value: float
    unit: str
    limit: float
    of: str
    target: Target | None = None
    """For the ratio of the two; None where there is none."""

    @property
    def ratio(self) -> float:
        return self.value / self.limit if self.limit else float("nan")

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return f"{self.target}: {'met' if self.target.is_met_by(self.ratio) else 'MISSED'}"

    def __str__(self) -> str:
        shown = f"{_number(self.value)} {self.unit}"
        said = f"{self.name:<58} {shown:>18}   {self.ratio:6.2f} x {_number(self.limit)} ({self.of})"
        return f"{said}   {self.verdict}".rstrip()

    def cells(self) -> list[str]:
        """The same as a row of a table: what, value, beside what, ratio, target."""
        beside = f"{_number(self.limit)} {self.unit}: {self.of}"
        return [self.name, f"{_number(self.value)} {self.unit}", beside, f"{self.ratio:.2f}", self.verdict]


COLUMNS = ("figure", "measured", "beside", "ratio", "target")


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def print_row(row: Row) -> None:
    print(row, flush=True)

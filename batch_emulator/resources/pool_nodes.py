"""The nodes of one pool, with their indexes: by id, by state, and by free slots for placing tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from sortedcontainers import SortedDict, SortedSet

from batch_emulator.resources.model import Node
from batch_emulator.resources.transitions import NodeState

#: States in which a node takes tasks.
SCHEDULABLE = frozenset({"idle", "running"})

Suits = Callable[[Node], bool] | None


class PoolNodes:
    """One pool's nodes. Every change of a node's state or occupants goes through here."""

    def __init__(self) -> None:
        self.by_id: SortedDict[str, Node] = SortedDict()
        self.state_counts: Counter[tuple[bool, str]] = Counter()
        self.leaving: set[str] = set()
        self._free: dict[int, SortedSet] = {}
        self._filed: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self):
        return iter(self.by_id.values())

    def add(self, node: Node) -> None:
        self.by_id[node.id] = node
        self.state_counts[node.dedicated, node.state] += 1
        self.reindex(node)

    def remove(self, node: Node) -> None:
        del self.by_id[node.id]
        self.state_counts[node.dedicated, node.state] -= 1
        self.leaving.discard(node.id)
        self._unfile(node)

    def move(self, node: Node, state: NodeState) -> None:
        self.state_counts[node.dedicated, node.state] -= 1
        node.state = state
        self.state_counts[node.dedicated, node.state] += 1
        self.reindex(node)

    def reindex(self, node: Node) -> None:
        """File a node under its free slots, if it takes tasks at all; note whether it is leaving."""
        (self.leaving.discard if node.leaving is None else self.leaving.add)(node.id)
        self._unfile(node)
        free = node.slots - node.slots_used
        takes_tasks = node.state in SCHEDULABLE and node.scheduling == "enabled" and node.leaving is None
        if takes_tasks and free > 0 and node.pending is None:
            if free not in self._free:
                self._free[free] = SortedSet()
            self._free[free].add((node.number, node.id))
            self._filed[node.id] = free

    def _unfile(self, node: Node) -> None:
        free = self._filed.pop(node.id, None)
        if free is not None:
            self._free[free].discard((node.number, node.id))
            if not self._free[free]:
                del self._free[free]

    def free_slots(self, node_id: str) -> int:
        """Slots that a node has free; 0 where it takes no tasks."""
        return self._filed.get(node_id, 0)

    def most_free(self) -> int:
        """The largest number of free slots on one node; 0 where nothing can be placed."""
        return max(self._free, default=0)

    def pick(self, slots: int, fill: str, suits: Suits = None) -> Node | None:
        """A node with `slots` free: the emptiest for fill type Spread, the fullest that fits for Pack.

        Where `suits` is given, only nodes for which it is true.
        """
        return next(self.fitting(slots, fill, suits), None)

    def fitting(self, slots: int, fill: str, suits: Suits = None) -> Iterator[Node]:
        """All such nodes, in that order."""
        levels = [free for free in self._free if free >= slots]
        for free in sorted(levels, reverse=fill.lower() == "spread"):
            for _, node_id in self._free[free]:
                node = self.by_id[node_id]
                if suits is None or suits(node):
                    yield node

    def count(self, *states: str, dedicated: bool) -> int:
        return sum(self.state_counts[dedicated, state] for state in states)

    def total(self, *, dedicated: bool) -> int:
        """Nodes that the pool has now, those on their way out included."""
        return sum(count for (kind, _), count in self.state_counts.items() if kind == dedicated)

    def staying(self, *, dedicated: bool) -> list[Node]:
        """Nodes that are not on their way out: what a resize starts from."""
        return [node for node in self if node.dedicated == dedicated and node.leaving is None]

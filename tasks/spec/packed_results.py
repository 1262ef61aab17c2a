"""What became of many Batch tasks and files, kept as bytes."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from math import isnan, nan
from operator import add

from tasks.base.packed import Interned, PackedSequence, PackedTexts, Selection
from tasks.spec.file_results import FileResult, State, TaskResult, find_state

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)
# How a task ended, but for when: of many tasks there are few such ends.
End = tuple[int | None, str, int, str, str, str]
# Of a file: that it has a task, an output, one that was there before, one that was left as it was.
HAS_TASK, HAS_OUTPUT, IS_UNCHANGED, IS_SKIPPED = 1, 2, 4, 8


class TaskEnds:
    """How Batch tasks have ended, by number; their ids are known elsewhere."""

    def __init__(self):
        # When each became completed, in microseconds, and for how many seconds its program ran.
        self._changed, self._seconds = array("q"), array("d")
        self._ends, self._known_ends = array("I"), Interned[End]()

    def __len__(self) -> int:
        return len(self._ends)

    def append(self, result: TaskResult) -> None:
        end = result.exit_code, result.node_id, result.tries, result.category, result.code, result.message
        self._changed.append((result.changed_at - EPOCH) // MICROSECOND)
        self._seconds.append(nan if result.seconds is None else result.seconds)
        self._ends.append(self._known_ends.add(end))

    def make(self, number: int, task_id: str) -> TaskResult:
        changed_at = EPOCH + timedelta(microseconds=self._changed[number])
        exit_code, node_id, tries, category, code, message = self._known_ends[self._ends[number]]
        seconds = self.find_seconds(number)
        return TaskResult(task_id, changed_at, exit_code, node_id, seconds, tries, category, code, message)

    def find_seconds(self, number: int) -> float | None:
        """How long a task's program ran, if that is known."""
        seconds = self._seconds[number]
        return None if isnan(seconds) else seconds


class FileResults(PackedSequence[FileResult]):
    """What became of the files of a run, in their order; each result is made when it is asked for.

    Not a list, nor a tuple: Prefect looks for futures in all of those that a flow returns, which takes 12
    seconds for 100,000 files.
    """

    def __init__(self, results: Iterable[FileResult] = ()):
        self._names, self._output_names, self._task_ids = PackedTexts(), PackedTexts(), PackedTexts()
        self._folders, self._known_folders = array("I"), Interned[str]()
        self._tasks, self._task_numbers = TaskEnds(), array("I")
        self._marks = bytearray()
        self._problems, self._stderrs = dict[int, str](), dict[int, str]()
        for result in results:
            self.append(result)

    def __len__(self) -> int:
        return len(self._names)

    def append(self, result: FileResult) -> None:
        task, path, number = result.task, result.output_path, len(self)
        marks = HAS_TASK * (task is not None) | HAS_OUTPUT * (path is not None)
        self._marks.append(marks | IS_UNCHANGED * result.unchanged | IS_SKIPPED * result.skipped)
        folder, slash, name = (path or "").rpartition("/")
        self._folders.append(self._known_folders.add(folder + slash))
        self._output_names.append(name)
        self._task_numbers.append(len(self._tasks))
        self._task_ids.append(task.task_id if task else "")
        if task is not None:
            self._tasks.append(task)
        if result.problem:
            self._problems[number] = result.problem
        if result.stderr:
            self._stderrs[number] = result.stderr
        self._names.append(result.name)

    def append_settled(self, name: str, folder: str, output_name: str, mark: int) -> None:
        """Append a file that was not run, as its output is there (IS_UNCHANGED) or something else
        (IS_SKIPPED): without an object, as there may be many such. The folder ends in a slash."""
        parent, slash, last = output_name.rpartition("/")
        self._marks.append(HAS_OUTPUT | mark)
        self._folders.append(self._known_folders.add(folder + parent + slash))
        self._output_names.append(last)
        self._task_numbers.append(len(self._tasks))
        self._task_ids.append("")
        self._names.append(name)

    def _make(self, number: int) -> FileResult:
        marks, task, path = self._marks[number], None, None
        if marks & HAS_TASK:
            task = self._tasks.make(self._task_numbers[number], self._task_ids[number])
        if marks & HAS_OUTPUT:
            path = self._find_path(number)
        return FileResult(
            self._names[number],
            task,
            path,
            self._problems.get(number, ""),
            self._stderrs.get(number, ""),
            bool(marks & IS_UNCHANGED),
            bool(marks & IS_SKIPPED),
        )

    @property
    def outputs(self) -> dict[str, str]:
        """Where outputs are, by the names of the inputs."""
        numbers = array("I", (number for number, marks in enumerate(self._marks) if marks & HAS_OUTPUT))
        return dict(zip(self._names.make_all(numbers), self._find_paths(numbers), strict=True))

    def _find_paths(self, numbers: Sequence[int]) -> Iterator[str]:
        folders = map(self._known_folders.__getitem__, map(self._folders.__getitem__, numbers))
        return map(add, folders, self._output_names.make_all(numbers))

    def _find_path(self, number: int) -> str:
        return self._known_folders[self._folders[number]] + self._output_names[number]

    @property
    def output_count(self) -> int:
        return sum(count for marks, count in Counter(self._marks).items() if marks & HAS_OUTPUT)

    @property
    def with_tasks(self) -> Sequence[FileResult]:
        """Those whose Batch tasks have ended."""
        return Selection(self, (number for number, marks in enumerate(self._marks) if marks & HAS_TASK))

    def split_by_interest(self) -> tuple[Sequence[FileResult], Iterator[tuple[int, str]]]:
        """Those that have a Batch task or a problem; the numbers and names of the others."""
        told = bytearray(
            bool(marks & HAS_TASK) or number in self._problems for number, marks in enumerate(self._marks)
        )
        silent = ((number, name) for number, name in enumerate(self._names) if not told[number])
        return Selection(self, (number for number, is_told in enumerate(told) if is_told)), silent

    def list_settled(self) -> Iterator[tuple[str, State, str] | None]:
        """Of each file that was not run the name, the state and the output; None of the others."""
        paths = self._find_paths(range(len(self)))
        for number, (marks, name, path) in enumerate(zip(self._marks, self._names, paths, strict=True)):
            if not marks & (IS_UNCHANGED | IS_SKIPPED) or marks & HAS_TASK or number in self._problems:
                yield None
            else:
                yield name, "skipped" if marks & IS_SKIPPED else "unchanged", path

    @property
    def with_problems(self) -> Sequence[FileResult]:
        """Those that have no output, or none that counts."""
        return Selection(self, self._problems)

    @property
    def unchanged(self) -> Sequence[FileResult]:
        """Those whose outputs were there before."""
        return Selection(self, (number for number, marks in enumerate(self._marks) if marks & IS_UNCHANGED))

    def count_states(self) -> Counter[str]:
        """How many files came to which end."""
        marks = Counter(mark for number, mark in enumerate(self._marks) if number not in self._problems)
        states = Counter(file.state for file in self.with_problems)
        for mark, count in marks.items():
            states[find_state("", bool(mark & IS_UNCHANGED), bool(mark & IS_SKIPPED))] += count
        return states

"""What became of many Batch tasks and files, kept as bytes."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from math import isnan, nan

from tasks.base.derived_texts import DerivedTexts
from tasks.base.packed import Interned, PackedSequence, PackedTexts, Selection, append_number
from tasks.spec.file_results import FileResult, State, TaskResult, find_state
from tasks.spec.naming import name_task
from tasks.spec.recipe import SOURCE_BYTES, read_source

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
        self._ends, self._known_ends = array("B"), Interned[End]()

    def __len__(self) -> int:
        return len(self._ends)

    def append(self, result: TaskResult) -> None:
        end = result.exit_code, result.node_id, result.tries, result.category, result.code, result.message
        self._changed.append((result.changed_at - EPOCH) // MICROSECOND)
        self._seconds.append(nan if result.seconds is None else result.seconds)
        self._ends = append_number(self._ends, self._known_ends.add(end))

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

    def __init__(self, results: Iterable[FileResult] = (), names: PackedTexts | None = None):
        """With `names`, which are kept for something else too, results are those of these, in their order."""
        self._names, self._has_names = PackedTexts() if names is None else names, names is not None
        self._paths = DerivedTexts()
        # Of the tasks the digests in their ids, and the ids that are not made of those and the names.
        self._sources, self._other_ids = bytearray(), dict[int, str]()
        self._tasks, self._task_numbers = TaskEnds(), array("I")
        self._marks = bytearray()
        self._problems, self._stderrs = dict[int, str](), dict[int, str]()
        for result in results:
            self.append(result)

    def __len__(self) -> int:
        return len(self._marks)

    def append(self, result: FileResult) -> None:
        name, task, path, number = result.name, result.task, result.output_path, len(self)
        self._task_numbers.append(len(self._tasks))
        if task is not None:
            self._append_id(number, name, task.task_id)
            self._tasks.append(task)
        if path is None:
            self._paths.append_nothing()
        else:
            self._paths.append(path, name, _find_root(path, name))
        if result.problem:
            self._problems[number] = result.problem
        if result.stderr:
            self._stderrs[number] = result.stderr
        marks = HAS_TASK * (task is not None) | HAS_OUTPUT * (path is not None)
        self._append_file(name, marks | IS_UNCHANGED * result.unchanged | IS_SKIPPED * result.skipped)

    def append_settled(self, name: str, folder: str, output_name: str, mark: int) -> None:
        """Append a file that was not run, as its output is there (IS_UNCHANGED) or something else
        (IS_SKIPPED): without an object, as there may be many such. The folder ends in a slash."""
        self._task_numbers.append(len(self._tasks))
        self._paths.append(folder + output_name, name, folder)
        self._append_file(name, HAS_OUTPUT | mark)

    def _append_file(self, name: str, marks: int) -> None:
        self._marks.append(marks)
        if not self._has_names:
            self._names.append(name)

    def _append_id(self, number: int, name: str, task_id: str) -> None:
        source = read_source(task_id)
        if source is None or name_task(name, source.hex()) != task_id:
            self._other_ids[number] = task_id
        self._sources += source or bytes(SOURCE_BYTES)

    def _make(self, number: int) -> FileResult:
        name, marks, task, path = self._names[number], self._marks[number], None, None
        if marks & HAS_TASK:
            task = self._tasks.make(self._task_numbers[number], self._make_id(number, name))
        if marks & HAS_OUTPUT:
            path = self._paths.make(number, name)
        return FileResult(
            name,
            task,
            path,
            self._problems.get(number, ""),
            self._stderrs.get(number, ""),
            bool(marks & IS_UNCHANGED),
            bool(marks & IS_SKIPPED),
        )

    def _make_id(self, number: int, name: str) -> str:
        if number in self._other_ids:
            return self._other_ids[number]
        start = self._task_numbers[number] * SOURCE_BYTES
        return name_task(name, self._sources[start : start + SOURCE_BYTES].hex())

    @property
    def outputs(self) -> dict[str, str]:
        """Where outputs are, by the names of the inputs."""
        return dict(self.list_outputs())

    def list_outputs(self) -> Iterator[tuple[str, str]]:
        """The same, each made when it is asked for."""
        make = self._paths.make
        for number, (marks, name) in enumerate(zip(self._marks, self._names, strict=True)):
            if marks & HAS_OUTPUT:
                yield name, make(number, name)

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
        for number, (marks, name) in enumerate(zip(self._marks, self._names, strict=True)):
            if not marks & (IS_UNCHANGED | IS_SKIPPED) or marks & HAS_TASK or number in self._problems:
                yield None
            else:
                path = self._paths.make(number, name) if marks & HAS_OUTPUT else ""
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


def _find_root(path: str, name: str) -> str:
    """The folder of all outputs, if it is that in which an output has its input's sub-folder."""
    folder = path[: path.rfind("/") + 1]
    return folder.removesuffix(name[: name.rfind("/") + 1])

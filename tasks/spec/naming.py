"""The names of all that a run makes, derived from its key so that a second attempt finds them again."""

import re
from dataclasses import dataclass

from tasks.base.partial_files import PARTIAL_FOLDER
from tasks.errors import InputError
from tasks.spec.named_patterns import SLUG

MADE_BY = "prefect-azure-batch"
# Containers have 63 characters for `application-` and the key, and know no upper case or double hyphen.
RUN_KEY = re.compile(SLUG)
RUN_KEY_MAX = 50
# A Batch task's id has 64 characters, of which a source's digest takes 32.
SLUG_MAX = 31
_NOT_IN_SLUGS = re.compile(r"[^A-Za-z0-9]+")
# In the output container: what tasks have printed, kept beyond their nodes.
LOGS_FOLDER = ".logs"
LOGS = ("stdout.txt", "stderr.txt")
# What the names of output containers begin with.
OUTPUTS = "output-"
# In the output folder, beside outputs on their way: outputs of earlier runs whose files have failed since.
EARLIER_FOLDER = ".earlier"
RESERVED_FOLDERS = {
    LOGS_FOLDER: "the logs of failed tasks",
    PARTIAL_FOLDER: "outputs on their way",
    EARLIER_FOLDER: "outputs of earlier runs",
}
# In the metadata of an output's blob: the digest of what made it.
SOURCE_METADATA = "source"
# Beside it, of an input that was in blob storage: which blob, and its ETag.
INPUT_URL_METADATA, INPUT_ETAG_METADATA = "input_url", "input_etag"
# In that of a log's blob: the name of the input, quoted like a part of a URL.
INPUT_METADATA = "input"
# Beside it, and in the container's: the part of that which all outputs of an attempt share.
RECIPE_METADATA = "recipe"


@dataclass(frozen=True)
class RunNames:
    """The ids of one run's resources."""

    key: str
    application_container: str
    input_container: str
    output_container: str
    job_id: str
    """Of the first job."""

    pool_id: str

    def name_job(self, number: int) -> str:
        """The id of the run's job of that number: a job that has ended takes no more tasks, so what is left
        to do goes into one of the next number."""
        return self.job_id if number == 1 else f"{self.job_id}_{number}"

    def number_job(self, job_id: str) -> int | None:
        """The number of a job of this run; None for a job of another."""
        if job_id == self.job_id:
            return 1
        number = job_id.removeprefix(f"{self.job_id}_")
        return int(number) if number != job_id and number.isdecimal() else None

    @property
    def containers(self) -> tuple[str, str, str]:
        return self.application_container, self.input_container, self.output_container


def names_of_run(key: str, pool_id: str | None = None) -> RunNames:
    """The names for a run key, by default the flow run's id. Raises InputError if it can't be one."""
    if not RUN_KEY.fullmatch(key) or len(key) > RUN_KEY_MAX:
        raise InputError(
            f"The run key {key!r} can't be part of container names: use up to {RUN_KEY_MAX} lower-case "
            f"letters, digits and single hyphens."
        )
    return RunNames(
        key=key,
        application_container=f"application-{key}",
        input_container=f"input-{key}",
        output_container=f"{OUTPUTS}{key}",
        job_id=f"fan-out-{key}",
        pool_id=pool_id or f"fan-out-{key}",
    )


def name_task(name: str, source: str) -> str:
    """The id of the Batch task that makes the output of an input: the source's digest behind the name.

    So another attempt finds the tasks of the one before, and a file is run anew if anything has changed that
    makes its output.
    """
    slug = _NOT_IN_SLUGS.sub("-", name).strip("-")[-SLUG_MAX:].strip("-")
    return f"{slug}-{source}" if slug else source


def name_by_content(name: str, md5: str) -> str:
    """The blob of a file: the MD5 of its content, hexadecimal, and then the file's name.

    A blob of such a name never changes its content. So a Batch task gets the input and the program that its
    id and its output speak of, whatever has been uploaded since.
    """
    return f"{md5}/{name}"


def name_log(run_key: str, name: str, log: str) -> str:
    """Where a log of an input's program is kept, below the output folder."""
    return f"{LOGS_FOLDER}/{run_key}/{name}/{log}"


def log_blob(task_id: str, log: str) -> str:
    """The blob in the output container that keeps what a failed task printed."""
    return f"{LOGS_FOLDER}/{task_id}/{log}"

"""Where the Batch tasks of a run write outputs: a container of the run's own, or a place that was given."""

from dataclasses import dataclass

from tasks.spec.blob_places import BlobPlace
from tasks.spec.naming import log_blob, name_log


@dataclass(frozen=True)
class OutputPlace:
    """A container, and what the names of its blobs begin with."""

    container: str
    prefix: str = ""
    """"" or a folder, with a slash at its end."""

    account: str = ""
    """The URL of the storage account; "" for the run's own containers."""

    @property
    def is_given(self) -> bool:
        """Whether outputs stay here; else they are fetched from here."""
        return bool(self.account)

    @property
    def url(self) -> str:
        """Of a place that was given, with no slash at its end."""
        return BlobPlace(self.account, self.container, self.prefix).url.rstrip("/")

    @property
    def identity(self) -> str:
        """What tells it from other places, in which the same work makes other outputs."""
        return f"{self.url}/" if self.is_given else ""

    def name_blob(self, output_name: str) -> str:
        return f"{self.prefix}{output_name}"

    def name_log(self, run_key: str, name: str, task_id: str, log: str) -> str:
        """The blob that keeps what the program of an input has printed."""
        if self.is_given:
            return self.name_blob(name_log(run_key, name, log))
        return log_blob(task_id, log)

    def locate(self, output_name: str) -> BlobPlace:
        return BlobPlace(self.account, self.container, self.name_blob(output_name))

"""Files that each Batch task gets besides its input: local ones, by way of storage, and those of URLs."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from prefect import task

from tasks.azure import blobs
from tasks.azure.sas import Signer, read_blob_url, read_container_url
from tasks.errors import InputError
from tasks.spec.file_names import find_bad_names
from tasks.spec.naming import name_by_content
from tasks.spec.recipe import digest_json
from tasks.spec.sources import expand_source, find_unreadable, refuse_problems
from tasks.spec.task_specs import OUR_FOLDERS, FileSpec
from tasks.step import NOT_CACHED, RETRIED
from tasks.uploads import upload_application

FOLDER = "files"
# Each is an object in the body of each Batch task, and a collection of those has a limit of its own.
FILES_MAX = 100


@dataclass(frozen=True)
class ExtraFile:
    """A local file, and its path in the tasks' working directories."""

    path: str
    node_path: str


@dataclass(frozen=True)
class UploadedFile:
    """A file as it was uploaded: its blob in the application container, and the MD5 of its content."""

    blob: str
    node_path: str
    md5: str


def find_extra_files(specs: Iterable[FileSpec]) -> list[ExtraFile]:
    """The local files among those that each task gets. Raises InputError for what is wrong with them."""
    files = [found for spec in specs if spec.local_path is not None for found in _find_local_files(spec)]
    counts = Counter(file.node_path for file in files)
    clashes = [f"{path!r} is given {count} times" for path, count in counts.items() if count > 1]
    refuse_problems(clashes, "name on the node", "would be of several files")
    if len(files) > FILES_MAX:
        raise InputError(
            f"There are {len(files)} files for each task; {FILES_MAX} are allowed. Pack them into one, or "
            f"put them into a blob container and give its storage_container_url."
        )
    return files


def _find_local_files(spec: FileSpec) -> Iterator[ExtraFile]:
    local_path = spec.local_path or ""
    named = expand_source(local_path)
    refuse_problems(
        [*find_bad_names(name for name, _ in named), *find_unreadable(path for _, path in named)],
        "file",
        "can't be used",
    )
    is_one = len(named) == 1 and named[0][0] == PurePosixPath(local_path).name
    for name, path in named:
        node_path = (spec.file_path if is_one else f"{spec.file_path}/{name}") if spec.file_path else name
        if PurePosixPath(node_path).parts[0] in OUR_FOLDERS:
            raise InputError(
                f"The file {path} would be put into a folder that the run itself uses: give a file_path."
            )
        yield ExtraFile(path, node_path)


def upload_extra_files(container: str, files: Iterable[ExtraFile]) -> list[UploadedFile]:
    """Upload the files into the application container, each unless the same content is there."""
    return [_upload(container, file) for file in files]


def _upload(container: str, file: ExtraFile) -> UploadedFile:
    name = f"{FOLDER}/{file.node_path}"
    md5 = upload_application(container, name, file.path).md5
    return UploadedFile(name_by_content(name, md5), file.node_path, md5)


def identify_remote_files(specs: Sequence[FileSpec], run_key: str) -> list[str]:
    """Of the files at URLs what tells their content from any other, as a URL does not."""
    remote = [spec for spec in specs if spec.local_path is None]
    return look_at_remote_files(remote, run_key) if remote else []


# Not cached: it asks what is so now.
@task(name="look at remote files", task_run_name="look at remote files", **NOT_CACHED, **RETRIED)
def look_at_remote_files(specs: list[FileSpec], run_key: str) -> list[str]:
    """ETags of what is on the run's own account; of all else the run's key, as nobody can tell."""
    return [_identify_remote_file(spec) or run_key for spec in specs]


def _identify_remote_file(spec: FileSpec) -> str | None:
    account, url = f"{blobs.locate_account()}/", spec.http_url or spec.storage_container_url or ""
    if not url.startswith(account):
        return None
    container, _, name = unquote(url[len(account) :].partition("?")[0]).partition("/")
    if spec.http_url is not None:
        found = blobs.find_blob(container, name)
        return found and found.etag
    listed = blobs.list_blobs(container, spec.blob_prefix or "")
    return digest_json(sorted([name, blob.etag] for name, blob in listed))


def build_resource_files(
    specs: Iterable[FileSpec], files: Iterable[UploadedFile], container: str, signer: Signer
) -> list[dict[str, Any]]:
    """REST types ResourceFile: first of the local files, then of the URLs."""
    local = [
        {"httpUrl": read_blob_url(signer, container, file.blob), "filePath": file.node_path} for file in files
    ]
    return [*local, *(_build_remote_file(spec, signer) for spec in specs if spec.local_path is None)]


def _build_remote_file(spec: FileSpec, signer: Signer) -> dict[str, Any]:
    """Files at a URL: signed for if it is on the run's own account, else as it is or with an identity."""
    if spec.http_url is not None:
        default = unquote(PurePosixPath(urlsplit(spec.http_url).path).name)
        url = _sign_url(spec, spec.http_url, signer)
        body: dict[str, Any] = {"httpUrl": url, "filePath": spec.file_path or default}
    else:
        body = {"storageContainerUrl": _sign_url(spec, spec.storage_container_url or "", signer)}
        if spec.blob_prefix is not None:
            body["blobPrefix"] = spec.blob_prefix
        if spec.file_path is not None:
            body["filePath"] = spec.file_path
    if spec.identity is not None:
        body["identityReference"] = {"resourceId": spec.identity}
    return body


def _sign_url(spec: FileSpec, url: str, signer: Signer) -> str:
    """The URL with a signature that reads it, if it is on the signer's account and no identity reads it."""
    if spec.identity is not None or not url.startswith(f"{signer.endpoint}/"):
        return url
    path = url[len(signer.endpoint) + 1 :].partition("?")[0]
    container, _, blob = path.partition("/")
    if spec.storage_container_url is not None:
        return read_container_url(signer, container)
    return read_blob_url(signer, container, unquote(blob))

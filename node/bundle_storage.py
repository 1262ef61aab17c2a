"""What the runner of a bundle asks of blob storage: inputs, outputs and outcomes, by signed URLs.

Standard library only, Python 3.8 or newer. A URL's query is its signature.
"""

import base64
import errno
import hashlib
import http.client
import json
import os
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

STORAGE_VERSION = "2021-12-02"
# What is in each answer of storage, and in none of a gateway, a proxy or a page to sign in at.
MARK = "x-ms-request-id"
# After a request that failed; the first at once, as a connection that was kept may have been closed.
PAUSES_SECONDS = (0, 1, 2, 4, 8, 16)
ANSWER_SECONDS = 120
PASSING_STATUSES = {408, 429, 500, 502, 503, 504}
BLOCK_BYTES = 16 << 20
# What no second try makes better. That nobody there can show to be the one that is asked counts as such until
# storage has answered once.
HOPELESS_ERRORS = (http.client.InvalidURL, ValueError)


class FileError(Exception):
    """Why a file has no output, in the words in which the service tells of its Batch tasks."""

    def __init__(self, category, code, message):
        super().__init__(message)
        self.said = {"category": category, "code": code, "message": message}


class StorageError(Exception):
    """Storage refused a request, or could not be reached for too long."""

    def __init__(self, status, message, is_passing=True):
        super().__init__(message)
        self.status = status
        # Who could not be reached may be there later.
        self.is_passing = is_passing if status is None else status in PASSING_STATUSES


def fetch_input(url, path):
    try:
        request("GET", url, into=path)
    except StorageError as error:
        codes = {403: ("UserError", "BlobAccessDenied"), 404: ("UserError", "BlobNotFound")}
        category, code = codes.get(error.status, ("ServerError", "BlobDownloadMiscError"))
        raise FileError(category, code, f"The input could not be fetched: {error}") from error


def read_noted(url):
    """What an earlier start has noted, as far as it can be read: a program may have written over it."""
    content = request("GET", url)
    try:
        noted = json.loads(content)
        needed = {"exit_code", "category"}
        return {key: one for key, one in noted.items() if needed <= one.keys() and one["tries"] > 0}
    except (ValueError, AttributeError, LookupError, TypeError, RecursionError):
        return {}


def keep(path, manifest, content):
    """Note what became of files, beside the manifest and in its blob. Raises OSError, StorageError."""
    with open(f"{path}.new", "wb") as file:
        file.write(content)
    os.replace(f"{path}.new", path)
    put(manifest["outcomes_write_url"], content, {})


def select_outputs(file, conditions):
    return [
        one for one in file["outputFiles"] if one["uploadOptions"]["uploadCondition"].lower() in conditions
    ]


def send_output(path, output):
    """Send a file, if it is there, to where an output file of a Batch task is to go. Raises FileError."""
    if not os.path.isfile(path):
        return
    place = output["destination"]["container"]
    url, _, signature = place["containerUrl"].partition("?")
    headers = {one["name"]: one["value"] for one in place.get("uploadHeaders", [])}
    try:
        send(path, f"{url}/{quote(place['path'], safe='/~')}?{signature}", headers)
    except StorageError as error:
        codes = {403: "FileUploadAccessDenied", 404: "FileUploadContainerNotFound"}
        code = codes.get(error.status, "FileUploadMiscError")
        message = f"{os.path.basename(path)} could not be sent: {error}"
        raise FileError("UserError", code, message) from error


def send(path, url, headers):
    """Send a file, a block at a time if it is large. Raises StorageError."""
    digest, blocks = hashlib.md5(), []
    with open(path, "rb") as file:
        content = file.read(BLOCK_BYTES)
        if len(content) < BLOCK_BYTES:
            put(url, content, headers)
            return
        while content:
            digest.update(content)
            blocks.append(base64.b64encode(b"%08d" % len(blocks)).decode())
            request("PUT", f"{url}&comp=block&blockid={quote(blocks[-1], safe='')}", content)
            content = file.read(BLOCK_BYTES)
    latest = "".join(f"<Latest>{block}</Latest>" for block in blocks)
    headers = {"x-ms-blob-content-md5": base64.b64encode(digest.digest()).decode(), **headers}
    body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{latest}</BlockList>'
    request("PUT", f"{url}&comp=blocklist", body.encode(), headers)


def put(url, content, headers):
    digest = base64.b64encode(hashlib.md5(content).digest()).decode()
    headers = {"x-ms-blob-type": "BlockBlob", "Content-MD5": digest, **headers}
    request("PUT", url, content, headers)


connections = threading.local()
has_answered = threading.Event()


def request(method, url, body=None, headers=None, into=None):
    """The content of storage's answer, which goes to the file `into` if one is named.

    Asks again where that can help. Raises StorageError, and FileError if the file can't be written.
    """
    for pause in (*PAUSES_SECONDS, None):
        try:
            return exchange(method, url, body, headers or {}, into)
        except StorageError as error:
            if pause is None or not error.is_passing:
                raise
        except FileError:
            # The rest of the answer has not been read.
            connections.__dict__.clear()
            raise
        except (http.client.HTTPException, OSError, ValueError) as error:
            connections.__dict__.clear()
            if pause is None or is_hopeless(error):
                # The words of others may have the URL in them.
                said = error.strerror if isinstance(error, OSError) else ""
                message = f"{type(error).__name__} {said or ''}".strip()
                raise StorageError(None, message, not (is_hopeless(error) or is_nobody(error))) from error
        time.sleep(pause or 0)
    raise AssertionError("the last pause is none")


def is_hopeless(error):
    is_stranger = isinstance(error, ssl.SSLCertVerificationError) and not has_answered.is_set()
    return is_stranger or (isinstance(error, HOPELESS_ERRORS) and not isinstance(error, OSError))


def is_nobody(error):
    """Whether no host has that name, as its resolver says, which may be wrong for a moment."""
    is_unknown = isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME
    return is_unknown and not has_answered.is_set()


def exchange(method, url, body, headers, into):
    parts = urlsplit(url)
    connection = connect(parts)
    headers = {"x-ms-version": STORAGE_VERSION, "Content-Length": str(len(body or b"")), **headers}
    connection.request(method, f"{parts.path}?{parts.query}", body, headers)
    answer = connection.getresponse()
    if answer.getheader(MARK) is None:
        # Its body, which may be of any length, is not read.
        connections.__dict__.clear()
        raise StorageError(None, f"HTTP {answer.status} of somebody else than storage: a gateway or a proxy")
    has_answered.set()
    if answer.status >= 300:
        answer.read()
        code = answer.getheader("x-ms-error-code") or answer.reason
        raise StorageError(answer.status, f"HTTP {answer.status} {code}")
    return answer.read() if into is None else receive(answer, into)


def connect(parts):
    """This thread's connection to a host, which is kept open from one request to the next."""
    known = connections.__dict__.setdefault("by_host", {})
    if parts[:2] not in known:
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        known[parts[:2]] = kind(parts.netloc, timeout=ANSWER_SECONDS)
    return known[parts[:2]]


def receive(answer, path):
    """Write an answer's content into a file. Raises FileError, and IncompleteRead if it is cut short or was
    changed on its way."""
    expected_bytes, md5 = int(answer.getheader("Content-Length") or 0), answer.getheader("Content-MD5")
    digest, size_bytes = hashlib.md5(), 0
    with writing(path) as write:
        while True:
            block = answer.read(1 << 20)
            if not block:
                break
            digest.update(block)
            size_bytes += len(block)
            write(block)
    if size_bytes != expected_bytes or md5 not in (None, base64.b64encode(digest.digest()).decode()):
        raise http.client.IncompleteRead(b"", expected_bytes - size_bytes)
    return b""


@contextmanager
def writing(path):
    """What writes into a new file. Raises FileError where the disk is to blame, and not the network."""

    def write(block):
        left = memoryview(block)
        try:
            # An unbuffered file may take less than it is given.
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            code = "DiskFull" if error.errno == errno.ENOSPC else "ResourceFileWriteFailed"
            raise FileError("ServerError", code, f"The input could not be written: {error}") from error

    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file = open(path, "wb", buffering=0)  # noqa: SIM115
    except OSError as error:
        raise FileError("ServerError", "ResourceFileCreateFailed", str(error)) from error
    with file:
        yield write

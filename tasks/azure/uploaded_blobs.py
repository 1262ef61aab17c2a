"""What is known of the blobs that files were uploaded into: the MD5 of each, hexadecimal, and its ETag."""

from tasks.azure import blobs
from tasks.base.known_texts import TextsByName

MD5_DIGITS = 32
Found = tuple[str, str] | None


class UploadedBlobs:
    """The blobs of a container, as they were when they were listed: there may be a million. One that was
    written without an MD5 is none."""

    def __init__(self, container: str):
        listed = blobs.list_blobs(container)
        self._known = TextsByName(
            (name, blob.content_md5.hex() + blob.etag) for name, blob in listed if blob.content_md5
        )

    def __len__(self) -> int:
        return len(self._known)

    def find(self, name: str) -> Found:
        known = self._known.get(name)
        return (known[:MD5_DIGITS], known[MD5_DIGITS:]) if known else None


def find_uploaded_blob(container: str, name: str) -> Found:
    """The same of one blob, as it is now."""
    blob = blobs.find_blob(container, name)
    return (blob.content_md5.hex(), blob.etag) if blob and blob.content_md5 else None

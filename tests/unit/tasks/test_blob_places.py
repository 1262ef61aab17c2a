"""Places in blob storage, as people write them."""

from __future__ import annotations

import pytest

from tasks.errors import InputError
from tasks.spec.blob_places import BlobPlace, is_place, read_place
from tasks.spec.patterns import HIDDEN, IN_FOLDER, TAKEN, read_remote_pattern

OWN = "https://mine.blob.core.windows.net"
OTHER = "https://archive.blob.core.windows.net"
EMULATOR = "http://127.0.0.1:10000/devstoreaccount1"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("az://photos", BlobPlace(OWN, "photos")),
        ("az://photos/", BlobPlace(OWN, "photos")),
        ("az://photos/2026/a%20b?.png", BlobPlace(OWN, "photos", "2026/a%20b?.png")),
        ("abfs://photos/2026/**", BlobPlace(OWN, "photos", "2026/**")),
        ("az://photos@archive.blob.core.windows.net/a b/?.png", BlobPlace(OTHER, "photos", "a b/?.png")),
        ("abfss://photos@archive.dfs.core.windows.net/x", BlobPlace(OTHER, "photos", "x")),
        (f"{OWN}/photos/2026/a%20b.png", BlobPlace(OWN, "photos", "2026/a b.png")),
        ("https://MINE.blob.core.windows.net/photos/x", BlobPlace(OWN, "photos", "x")),
        ("https://mine.dfs.core.windows.net/photos/x", BlobPlace(OWN, "photos", "x")),
        (f"{OTHER}/$web/a?.html", BlobPlace(OTHER, "$web", "a?.html")),
    ],
)
def test_what_people_write_is_understood(text, place):
    """The URL that the portal shows, quoted as URLs are; az:// as fsspec has it; wildcards in both."""
    assert is_place(text)
    assert read_place(text, OWN, [OTHER]) == place


def test_an_account_may_be_a_part_of_the_path():
    """As that of an emulator is."""
    place = read_place(f"{EMULATOR}/photos/x y", EMULATOR)
    assert place == BlobPlace(EMULATOR, "photos", "x y")
    assert place.url == f"{EMULATOR}/photos/x%20y"
    with pytest.raises(InputError, match="not on the run's own storage account"):
        read_place("http://127.0.0.1:10000/another/photos/x", EMULATOR)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{OWN}/photos/x?sv=2021&sig=abc", "has a signature, and Prefect records parameters"),
        (f"{OWN}/photos/x?snapshot=2026-01-01T00:00:00Z", "is a snapshot or a version of a blob"),
        (f"{OWN}/photos/x?versionid=2026-01-01T00:00:00Z", "is a snapshot or a version of a blob"),
        (f"{OWN}/photos?restype=container&comp=list", "leave out all from the ? on"),
        ("https://portal.azure.com/#view/x", "is a page of the portal"),
        ("https://example.org/x", "is no place in blob storage"),
        ("https://else.blob.core.windows.net/c/x", "storage_accounts"),
        ("az://photos/x?sv=2021&sig=abc", "has a signature"),
        ("az://photos?sv=2021&sig=abc", "has a signature"),
        ("az://photos/x\0y", "has a control character"),
        ("az://photos/x\n", "has a control character"),
        ("az://photos/\ud800", "is not UTF-8"),
        ("az://photos/\ue000", "has a private character"),
        ("az://photos/x\\y", "has a backslash"),
        ("az://photos/../secret/x", "has a part that ends in a dot"),
        (f"{OWN}/photos/%2e%2e/secret/x", "has a part that ends in a dot"),
        ("az://photos/a./x", "has a part that ends in a dot"),
        ("az://photos/a//x", "has a part without a name"),
        ("az://", "names no container"),
        (f"{OWN}/", "names no container"),
        ("az://Photos/x", "can't be the name of a container"),
        ("az://ph*/x", "can't be the name of a container"),
        ("az://a--b/x", "can't be the name of a container"),
        ("az://ab/x", "can't be the name of a container"),
    ],
)
def test_what_is_no_place_is_told_why(text, reason):
    """Before anything is asked; no message has a signature."""
    with pytest.raises(InputError) as caught:
        read_place(text, OWN, [OTHER])
    assert reason in str(caught.value)
    assert "sig=" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "name", "fate"),
    [
        ("", "a/b", TAKEN),
        ("", ".a/b", HIDDEN),
        ("p", "a/.b", HIDDEN),
        ("p/*", "a/b", IN_FOLDER),
        ("p/*.txt", "a/b", ""),
        ("p/.*/*", ".a/b", TAKEN),
        ("p/**/*.txt", "b.txt", TAKEN),
        ("p/**/*.txt", "a/b/c.png", ""),
    ],
)
def test_names_in_a_container_follow_the_rules_of_folders(place, name, fate):
    """A prefix means all below it; hidden names are asked for or left out."""
    assert read_remote_pattern(place).judge(name) == fate

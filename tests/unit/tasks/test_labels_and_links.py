"""What a run is called in lists of runs, and where Azure's portal shows what it made."""

from urllib.parse import unquote

import pytest

from tasks.azure.accounts import Accounts
from tasks.azure.portal_links import portal_links
from tasks.report.run_name import build_run_name, find_dataset
from tasks.spec.input_files import InputFile
from tasks.spec.naming import names_of_run

GROUP = "/subscriptions/0000/resourceGroups/words/providers"
BATCH_ID = f"{GROUP}/Microsoft.Batch/batchAccounts/b"
STORAGE_ID = f"{GROUP}/Microsoft.Storage/storageAccounts/s"


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/srv/texts/a.txt"], "a.txt"),
        (["/srv/texts/a.txt", "/srv/texts/b.txt"], "texts"),
        (["/srv/texts/2025/a.txt", "/srv/texts/2026/a.txt"], "texts"),
        (["relative/a", "relative/b"], "relative"),
        (["/a/x", "/b/x"], "/"),
    ],
)
def test_a_dataset_is_called_by_its_folder(paths, expected):
    """Also where the files are in sub-folders of it; a single file stands for itself."""
    files = [InputFile("", path, path, 0) for path in paths]
    assert find_dataset(files) == expected


def test_the_name_of_a_run_says_what_it_is_over_once():
    """The given name stays in front; a later attempt adds nothing."""
    name = build_run_name("from-the-form", "texts", 12345)
    assert name == "from-the-form: texts, 12,345 files"
    assert build_run_name(name, "texts", 12345) == name
    assert build_run_name("x", "a.txt", 1) == "x: a.txt, 1 file"


def test_accounts_with_resource_ids_are_linked():
    """The Batch account and each container of the run; nothing for the local services, which have no ids."""
    accounts = Accounts("https://b", batch_resource_id=BATCH_ID, storage_resource_id=STORAGE_ID)
    account, *containers = portal_links(accounts, "key")
    assert f"(https://portal.azure.com/#resource{BATCH_ID}/overview)" in account
    names = [link[1 : link.index("]")] for link in containers]
    assert names == list(names_of_run("key").containers)
    assert f"/storageAccountId/{STORAGE_ID}/path/output-key)" in unquote(containers[2])
    assert "/subscriptions" not in containers[2]
    assert portal_links(Accounts("http://127.0.0.1:1"), "key") == []

"""The error codes that the product waits for are ones that a service answers with."""

from typing import get_args

import pytest
from azure.storage.blob import StorageErrorCode

from batch_emulator.catalogue.error_codes import CATALOGUE
from tasks.azure.error_codes import Code

STORAGE = {code.value for code in StorageErrorCode}


@pytest.mark.parametrize("code", get_args(Code))
def test_each_code_is_one_of_a_service_s(code):
    """Nothing is told by a code that neither Azure Batch nor Azure Storage has."""
    assert code in CATALOGUE or code in STORAGE

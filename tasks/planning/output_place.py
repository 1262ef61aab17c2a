"""The place in blob storage where outputs are to stay, seen to be there and open before anything is made."""

from tasks.azure import blobs
from tasks.azure.places import describe_no_container
from tasks.azure.sas import make_signer
from tasks.azure.storage_accounts import at_account, find_other_accounts
from tasks.base.deadlines import first_call
from tasks.errors import InputError, NotFoundError
from tasks.spec.blob_places import read_place
from tasks.spec.output_places import OutputPlace
from tasks.spec.patterns import WILDCARDS

SIGNED_SECONDS = 60
# Of the blob by which is seen whether any may be written: there is never one.
PROBE = ".probe"


def open_output_place(output_dir: str) -> OutputPlace:
    """The place in blob storage that an `output_dir` means, in the accounts in use.

    Raises InputError for what is none, or isn't there; AccessError where nothing may be written or signed.
    """
    place = read_place(output_dir, blobs.locate_account(), find_other_accounts())
    if WILDCARDS & set(place.name):
        raise InputError(f"The output_dir {output_dir} has wildcards: it is to be one place.")
    prefix = place.name.strip("/")
    with first_call(), at_account(place.account):
        try:
            blobs.try_to_write(place.container, f"{prefix}/{PROBE}" if prefix else PROBE)
        except NotFoundError:
            raise InputError(describe_no_container(place)) from None
        make_signer(SIGNED_SECONDS)
    return OutputPlace(place.container, f"{prefix}/" if prefix else "", place.account)

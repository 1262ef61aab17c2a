"""What signs in to the services of a local stack: random, kept with its data, for the owner only."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deployments.azurite import new_account_key
from deployments.errors import StartError
from deployments.private_files import make_private_folder, write_for_owner

FILE = "keys.json"


@dataclass(frozen=True)
class Keys:
    """`prefect` is `user:password`, as Prefect's server takes it; the others are base64, as Azure's are."""

    prefect: str = field(repr=False)
    storage: str = field(repr=False)
    batch: str = field(repr=False)


def load_keys(location: Path) -> Keys:
    """The keys that are kept in the folder, which only its owner can enter; new ones if there are none."""
    path = make_private_folder(location) / FILE
    if not path.exists():
        write_for_owner(path, json.dumps(asdict(new_keys())))
    try:
        return Keys(**json.loads(path.read_text()))
    except (ValueError, TypeError):
        raise StartError(f"{path} isn't what a local stack has written: delete it") from None


def new_keys() -> Keys:
    return Keys(f"local:{secrets.token_urlsafe(32)}", new_account_key(), new_account_key())

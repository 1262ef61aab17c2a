"""Where Azure's portal shows what a run has made. It knows accounts by their resource ids."""

from urllib.parse import quote

from tasks.azure.accounts import Accounts
from tasks.spec.naming import names_of_run

PORTAL = "https://portal.azure.com"


def portal_links(accounts: Accounts, run_key: str) -> list[str]:
    """Links in Markdown, of the accounts whose resource ids are known; the local services have none.

    The portal has addresses for containers, but none for one job or pool: the account's page lists them.
    """
    links = []
    if accounts.batch_resource_id:
        links.append(f"[Batch account]({_account_url(accounts.batch_resource_id)}), with its jobs and pools")
    if accounts.storage_resource_id:
        containers = names_of_run(run_key).containers
        links += [f"[{name}]({_container_url(accounts.storage_resource_id, name)})" for name in containers]
    return links


def _account_url(resource_id: str) -> str:
    return f"{PORTAL}/#resource{quote(resource_id)}/overview"


def _container_url(storage_resource_id: str, container: str) -> str:
    blade = "Microsoft_Azure_Storage/ContainerMenuBlade/~/overview"
    return f"{PORTAL}/#view/{blade}/storageAccountId/{quote(storage_resource_id, safe='')}/path/{container}"

"""The start task of a run's pool: what it brings to the nodes, and nodes that could not get it."""

from azure.batch import BatchClient, models
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from tasks.azure import plain_batch
from tasks.azure.error_codes import read_code
from tasks.base.printable import say_count
from tasks.logs import run_logger
from tasks.spec.command_line import APPLICATION_FOLDER, start_command_line


def build_start_task(
    application: str | None, url: str | None, start_command: str | None
) -> models.BatchStartTask | None:
    """The start task that brings the application and runs the user's command, as root; None for nothing."""
    if application is None and start_command is None:
        return None
    command_line, environment = start_command_line(application, start_command)
    admin = models.AutoUserSpecification(
        scope=models.AutoUserScope.POOL, elevation_level=models.ElevationLevel.ADMIN
    )
    files = (
        [models.ResourceFile(http_url=url, file_path=f"{APPLICATION_FOLDER}/{application}")] if url else []
    )
    return models.BatchStartTask(
        command_line=command_line,
        resource_files=files,
        environment_settings=[
            models.EnvironmentSetting(name=name, value=value) for name, value in environment.items()
        ],
        user_identity=models.UserIdentity(auto_user=admin),
        max_task_retry_count=1,
        wait_for_success=True,
    )


def find_failed_nodes(client: BatchClient, pool_id: str) -> list[str]:
    """The ids of the nodes whose start task has failed."""
    listed = client.list_nodes(pool_id, filter="state eq 'starttaskfailed'", select=["id"])
    return [node.id for node in listed]


def reboot_failed_nodes(client: BatchClient, pool_id: str) -> None:
    """Let nodes whose start task has failed run the one that the pool has now, as they do at each boot."""
    failed = find_failed_nodes(client, pool_id)
    for node_id in failed:
        try:
            path = f"/pools/{pool_id}/nodes/{node_id}/reboot"
            plain_batch.post(client, path, {"nodeRebootOption": "requeue"})
        except (ResourceNotFoundError, ResourceExistsError) as error:
            # Else the node is gone, or somebody reboots it already.
            if not read_code(error).startswith("Node"):
                raise
    if failed:
        run_logger().info("Rebooted %s whose start task had failed", say_count(len(failed), "node"))

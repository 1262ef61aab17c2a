"""Container images and the registries that they come from, as Azure Batch takes them."""

import os
from collections.abc import Mapping
from typing import Any

from tasks.azure.secret_blocks import read_secret
from tasks.base.hidden import hide_from_now_on
from tasks.errors import SettingsError
from tasks.spec.specs import ContainersSpec, RegistrySpec
from tasks.spec.task_specs import ContainerSpec

WireObject = dict[str, Any]


def read_password(registry: RegistrySpec, environment: Mapping[str, str] = os.environ) -> str | None:
    """The password that a registry's specification refers to. Raises SettingsError if it isn't there."""
    if registry.password_variable is not None:
        found = environment.get(registry.password_variable)
        if not found:
            raise SettingsError(
                f"Set {registry.password_variable}: it is to have the password of {registry.server}."
            )
        hide_from_now_on(found)
        return found
    if registry.password_secret is None:
        return None
    return read_secret(registry.password_secret, f"the password of {registry.server}")


def _build_registry(registry: RegistrySpec, password: str | None) -> WireObject:
    """REST type ContainerRegistryReference."""
    if registry.identity is not None:
        return {
            "registryServer": registry.server,
            "identityReference": {"resourceId": registry.identity},
        }
    return {"registryServer": registry.server, "username": registry.username, "password": password}


def build_pool_containers(spec: ContainersSpec) -> WireObject | None:
    """REST type ContainerConfiguration; None if there are none. Has the password: keep it nowhere."""
    if not spec.are_wanted:
        return None
    body: WireObject = {"type": "dockerCompatible"}
    if spec.images:
        body["containerImageNames"] = list(spec.images)
    if spec.registry.server:
        body["containerRegistries"] = [_build_registry(spec.registry, read_password(spec.registry))]
    return body


def build_task_container(spec: ContainerSpec) -> WireObject | None:
    """REST type TaskContainerSettings; None for a task of none. Has the password: keep it nowhere."""
    if spec.image is None:
        return None
    body: WireObject = {"imageName": spec.image, "workingDirectory": spec.working_directory}
    if spec.run_options:
        body["containerRunOptions"] = spec.run_options
    if spec.registry.server:
        body["registry"] = _build_registry(spec.registry, read_password(spec.registry))
    return body

"""The marketplace images that the account offers."""

from __future__ import annotations

import re

import pytest

from batch_emulator.catalogue.images import (
    FORMER_IMAGES,
    OLDEST_IMAGES,
    SUPPORTED_IMAGES,
    find_image,
    has_old_agent,
    is_retired,
    runs_windows,
)


def test_images_are_listed_by_publisher_offer_and_sku() -> None:
    """The list is in the order of the images' names, each of which stands in it once; those for accounts in
    user subscription mode are among them."""
    names = [tuple(image["imageReference"].values()) for image in SUPPORTED_IMAGES]
    assert names == sorted(set(names))
    assert any("UserSubscriptionOnly" in image.get("capabilities", ()) for image in SUPPORTED_IMAGES)


def test_image_is_found_in_any_case() -> None:
    """Scripts write publishers and offers in their own case."""
    found = find_image({"publisher": "Canonical", "offer": "UbuntuServer", "sku": "18.04-LTS"})
    assert found is not None
    assert found["nodeAgentSKUId"] == "batch.node.ubuntu 18.04"


def test_image_whose_support_has_ended_says_so() -> None:
    """A retired image has the end of its support and is not verified any more."""
    found = find_image({"publisher": "canonical", "offer": "ubuntuserver", "sku": "18.04-lts"})
    assert found is not None
    assert (found["verificationType"], found["batchSupportEndOfLife"][:4]) == ("unverified", "2023")


def test_windows_images_run_the_windows_agent() -> None:
    """Every image of Windows Server names Windows' node agent and operating system."""
    of_windows = [each for each in SUPPORTED_IMAGES if each["osType"] == "windows"]
    assert {each["nodeAgentSKUId"] for each in of_windows} == {"batch.node.windows amd64"}
    assert {each["imageReference"]["publisher"] for each in of_windows} == {
        "microsoft-dsvm",
        "microsoftwindowsserver",
        "mirantis",
    }


def test_images_that_ended_long_ago_have_agents_of_their_time() -> None:
    """Pools of Ubuntu 18.04 speak `classic` in recordings of 2025, those of images with support do not; which
    system nodes have is told by the node agent, and by the lack of one."""
    old = {"publisher": "Canonical", "offer": "UbuntuServer", "sku": "18.04-LTS"}
    new = {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"}
    assert [
        has_old_agent({"virtualMachineConfiguration": {"imageReference": each}}) for each in (old, new)
    ] == [
        True,
        False,
    ]
    agents = [
        {"virtualMachineConfiguration": {"nodeAgentSKUId": f"batch.node.{it}"}}
        for it in ("Windows amd64", "ubuntu 24.04")
    ]
    assert [*map(runs_windows, agents), runs_windows({"cloudServiceConfiguration": {"osFamily": "6"}})] == [
        True,
        False,
        True,
    ]


def test_retired_images_are_known_but_not_listed() -> None:
    """What the service has taken off its list is in none of ours."""
    found = find_image({"publisher": "canonical", "offer": "ubuntuserver", "sku": "18.04-lts"})
    assert is_retired(found)
    assert found not in SUPPORTED_IMAGES
    assert not any(is_retired(image) for image in SUPPORTED_IMAGES)


def test_older_versions_are_listed_all_images_with_support() -> None:
    """Clients of older versions choose an image from the list, as Nextflow does: today's are all in it, but
    for AlmaLinux of ARM and HPC before 2024-07."""
    assert all(image in FORMER_IMAGES for image in SUPPORTED_IMAGES)
    missing = [image for image in FORMER_IMAGES if image not in OLDEST_IMAGES]
    assert {image["imageReference"]["offer"] for image in missing} == {"almalinux-arm", "almalinux-hpc"}
    names = [tuple(image["imageReference"].values()) for image in FORMER_IMAGES]
    assert names == sorted(set(names))


@pytest.mark.parametrize("image", FORMER_IMAGES, ids=lambda image: "-".join(image["imageReference"].values()))
def test_image_of_the_second_generation_says_so(image: dict) -> None:
    """What is named `gen2` or `g2` is for machines of that generation, as recorded; one image is not."""
    name = image["imageReference"]["sku"]
    if re.search(r"[-_]g(en)?2$", name) and image["imageReference"]["offer"] != "ubuntu-2004":
        assert "Generation2VMImage" in image["capabilities"]

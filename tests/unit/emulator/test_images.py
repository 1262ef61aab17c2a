"""The marketplace images that the account offers."""

from __future__ import annotations

from batch_emulator.catalogue.images import SUPPORTED_IMAGES, find_image, is_retired


def test_images_are_listed_by_publisher_offer_and_sku() -> None:
    """The list is in the order of the images' names, each of which stands in it once."""
    names = [tuple(image["imageReference"].values()) for image in SUPPORTED_IMAGES]
    assert names == sorted(set(names))


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


def test_retired_images_are_known_but_not_listed() -> None:
    """What the service has taken off its list is in none of ours."""
    found = find_image({"publisher": "canonical", "offer": "ubuntuserver", "sku": "18.04-lts"})
    assert is_retired(found)
    assert found not in SUPPORTED_IMAGES
    assert not any(is_retired(image) for image in SUPPORTED_IMAGES)

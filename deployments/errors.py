"""What can go wrong while local services are installed and started, and a server is told what we want.

AutomationError          an automation can't be applied
LocalServiceError
├── InstallError         npm could not fetch Azurite
├── StartError           a service ended, or did not answer, before it was ready
└── ServiceDiedError     a service ended while the local stack was running
"""


class LocalServiceError(Exception):
    """A local service can't be had; the message names it and ends with the last lines of its log."""


class InstallError(LocalServiceError):
    """npm could not install Azurite: mostly no network, or no room in the cache folder."""


class StartError(LocalServiceError):
    """A service ended or did not answer before it was ready: mostly its port is taken."""


class ServiceDiedError(LocalServiceError):
    """A service of the running local stack ended by itself."""


class AutomationError(Exception):
    """Prefect's server isn't named, or lacks what an automation needs; the message says what."""

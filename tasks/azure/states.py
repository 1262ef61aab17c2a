"""States as the service spells them, and not as Python names its enumerations."""


def read_state(state: object) -> str:
    """The service's own word for a state: `completed`, for `BatchJobState.COMPLETED`; "" for none."""
    return "" if state is None else str(getattr(state, "value", state))

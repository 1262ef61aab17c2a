"""How a request is refused.

BatchError          an answer with status >= 300, as the service words it: raised by any code of this package
                    that has something to tell the client

Other rooms have errors of their own that no client sees: `node.failures.AttemptFailed` becomes a task's
`failureInfo`, `autoscale.errors.FormulaError` a pool's `autoScaleRun` or a BatchError,
`resources.transitions.IllegalTransition` is a fault of ours.
"""

from __future__ import annotations

from batch_emulator.catalogue.error_codes import CATALOGUE


class BatchError(Exception):
    """A refusal in the service's own terms; becomes an OData error body in exactly one place (`app`).

    `code` is a code of the documentation page "Batch Status and Error Codes" and fixes the HTTP status and
    the message; `values` are the (key, value) pairs that say which property, why, and so on, in order.
    A value that is None was not sent. `headers` go with the answer.
    """

    def __init__(self, code: str, *values: tuple[str, str | None]):
        self.status, self.message = CATALOGUE[code]
        self.code = code
        self.values = values
        self.headers: dict[str, str] = {}
        super().__init__(f"{code}: {self.message} {dict(values) if values else ''}".rstrip())


def invalid_property(name: str, value: object, reason: str) -> BatchError:
    """400 InvalidPropertyValue naming the property, what was sent and why it is refused."""
    return BatchError(
        "InvalidPropertyValue",
        ("PropertyName", name),
        ("PropertyValue", None if value is None else str(value)),
        ("Reason", reason),
    )


def invalid_combination(name: str, reason: str) -> BatchError:
    """400 InvalidPropertyValue for a property that does not go with others, whatever its value is."""
    return BatchError("InvalidPropertyValue", ("PropertyName", name), ("Reason", reason))


def not_supported(what: str, reason: str) -> BatchError:
    """400 UnsupportedProperty for what the service would do and this one cannot honour."""
    why = f"Local Batch service: {reason}"
    return BatchError("UnsupportedProperty", ("PropertyName", what), ("Reason", why))

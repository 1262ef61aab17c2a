"""Request bodies: one model for each, which knows the limits, the defaults and the wire's names."""

from batch_emulator.api.bodies.base import Body, parse_body, parse_object

__all__ = ["Body", "parse_body", "parse_object"]

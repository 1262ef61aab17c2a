"""Memory that is free again, given back to the system."""

import ctypes


def return_memory() -> None:
    """Give back what the allocator holds for later: after a step over many files that may be much, in pieces
    between others that are in use. Where the C library has no such call, nothing is given back."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

"""Outputs of earlier runs: which of them still hold, and what was recorded of them."""

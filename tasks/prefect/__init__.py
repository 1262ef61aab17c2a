"""Prefect's cache, artifacts and signals, and how steps use them."""

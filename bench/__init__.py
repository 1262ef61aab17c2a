"""Measurements: what runs and the local Batch service take, beside other ways to the same end."""

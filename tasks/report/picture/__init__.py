"""The picture of a run: its Batch tasks over time, node by node."""

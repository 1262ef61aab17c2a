"""Looking at a run while it goes: completed Batch tasks, outputs, progress, the pool and its lease."""

"""What the Batch service is told of a pool, a task, a bundle; and whether a pool that is there does."""

"""What the Batch service is told of a pool, a Batch task and a bundle, from what a run has decided."""

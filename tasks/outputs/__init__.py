"""Outputs and logs where they lie: in blob storage to stay, beside the outputs, or in a container alone."""

"""The running service, and how its state is kept."""

"""What the user says, and the names, paths and results that follow from it: plain data, no client."""

"""What the real service is known to have: operations, error codes, images, VM sizes."""

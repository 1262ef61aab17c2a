"""What the service knows, with its indexes. Pure: no clock, process or socket."""

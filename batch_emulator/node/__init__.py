"""What runs on a node: the files of a task, its process, its outputs."""

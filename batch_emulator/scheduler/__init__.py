"""What happens to resources: commands and events in, changes and actions out. No clock, process or socket.

Every function takes the `World`: it reads and changes its store and leaves in `world.actions` what the engine
has to do for it. A command that is refused raises `BatchError` before anything has changed.
"""

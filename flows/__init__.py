"""What a user runs and deploys: the order of the steps."""

import gc

# Half a million objects are made here, all of which stay: looking them through for garbage again and again,
# and a last time when the process ends, would take a quarter of a short run.
_was_enabled = gc.isenabled()
gc.disable()
try:
    import flows.running  # noqa: F401 - what all flows need
    from flows.uncaught import show_errors_plainly
    from tasks.logs import keep_logs_printable, quieten_logs
finally:
    gc.freeze()
    if _was_enabled:
        gc.enable()

quieten_logs()
keep_logs_printable()
show_errors_plainly()

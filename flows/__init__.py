"""What a user runs and deploys: the order of the steps."""

import gc

# Half a million objects are made here, all of which stay: looking them through for garbage again and again
# would take an eighth of the time.
_was_enabled = gc.isenabled()
gc.disable()
try:
    import flows.running  # noqa: F401 - what all flows need
    from tasks.logs import keep_logs_printable, quieten_logs
finally:
    if _was_enabled:
        gc.enable()

quieten_logs()
keep_logs_printable()

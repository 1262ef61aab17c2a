"""What a user runs and deploys: the order of the steps."""

from tasks.logs import keep_logs_printable, quieten_logs

quieten_logs()
keep_logs_printable()

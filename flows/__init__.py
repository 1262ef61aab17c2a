"""What a user runs and deploys: the order of the steps."""

from tasks.logs import quieten_logs

quieten_logs()

"""What a user runs and deploys: the order of the steps."""

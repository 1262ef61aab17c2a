"""What runs have left behind on the accounts, and what Prefect knows of those runs."""

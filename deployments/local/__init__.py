"""The local stack: Azurite, the local Batch service, a Prefect server with its dashboard, and a worker.

`python -m deployments.local up` keeps it open; a client needs nothing but the environment variables that it
writes.
"""

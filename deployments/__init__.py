"""How the flows are deployed, and what starts, watches and stops the services of the local stack."""

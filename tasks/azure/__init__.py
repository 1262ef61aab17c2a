"""How we speak to Azure: accounts, clients, errors, signatures, registries."""

"""The steps of a run over many files on Azure Batch, each a Prefect task or a pure builder."""

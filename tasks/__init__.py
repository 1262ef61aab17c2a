"""The steps of a run over many files on Azure Batch: a file here is a step, in the words of the tutorial.

What steps need is one door further: `spec` what the user says, `planning` what a plan asks of Azure, `bodies`
what the Batch service is told, `azure` how we speak to Azure, `prefect` to Prefect, `watch` looking at a run
while it goes, `outputs` where outputs lie, `report` telling what came of it, `reuse` outputs of earlier runs,
`leftovers` what runs have left behind, `base` what all else stands on.
"""

"""CloudFormation of the local AWS: it acts with the deployer's rights, holds templates to their schemas and refuses what it cannot do."""

"""Functions that the platform deploys; the first line of each folder's handler says what it does."""

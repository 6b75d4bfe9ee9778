"""The warehouse: tables from contracts, statements that load and unload them, and a client of the Data API; standard library and boto3 only."""

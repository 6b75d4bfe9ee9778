"""Raw files as they land: staged by version, read as strings, nothing lost."""

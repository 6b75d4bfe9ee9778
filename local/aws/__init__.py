"""One adapter package around MiniStack: the local AWS, made as strict as AWS is."""

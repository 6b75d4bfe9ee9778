"""Pipeline specs: their grammar, loader and typed form; authoring time only, never deployed."""

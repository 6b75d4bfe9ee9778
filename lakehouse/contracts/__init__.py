"""Data contracts: the compiled form that deployed code reads, and the compiler that makes it."""

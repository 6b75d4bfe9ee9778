"""Real input for the platform: TPC-H tables as the daily files that a producer would deliver, and a drop full of faults."""

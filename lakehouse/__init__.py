"""Runtime library that jobs, Lambdas, constructs and the command line share."""

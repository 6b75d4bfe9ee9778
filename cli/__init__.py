"""`lake`: the command line of operators and developers, the same verbs against AWS and the laptop."""

"""Tools that set the project up, check it and measure it; never deployed."""

"""The platform on a laptop: a local AWS, its engines and the deploy loop; never deployed."""

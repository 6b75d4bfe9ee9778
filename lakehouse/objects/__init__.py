"""Objects of S3 for jobs, tools and whoever imports the library: read and written, moved in sets, deleted by folder, lent by address."""

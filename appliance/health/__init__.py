"""One check a file; each finding names its remedy."""

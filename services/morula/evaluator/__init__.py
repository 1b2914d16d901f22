"""Labels or clusters, and truth -> numbers that cannot be flattered."""

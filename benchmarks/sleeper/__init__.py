"""A family whose fits only sleep, so that whatever else a sweep takes is its own."""

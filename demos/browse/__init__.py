"""A store's episodes in a browser: a list to filter, each to scrub, and outcomes to mark by hand."""

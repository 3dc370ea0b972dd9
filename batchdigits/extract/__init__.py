"""Files become pictures of digits and strips of numbers, in worker processes."""

"""Whether a stored study still is what was stored: files, keys, sums, hashes, and every request made again."""

"""Tools of a stored study: were they needed, useful and used, and the gate that decides about them."""

"""A run that can be looked at and steered from a second terminal (`coordeval ctl`), by a private socket."""

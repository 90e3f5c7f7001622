"""The rules that come with the project; each is offered by its entry point, like one of a plugin's."""

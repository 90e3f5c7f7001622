"""What single tool calls were worth: stored conversations go on with one result withheld."""

"""Studies of the grounding game: their file, their cells, their run and what is read out of them."""

"""Two rankings in one list, one file a method; chance is an argument."""

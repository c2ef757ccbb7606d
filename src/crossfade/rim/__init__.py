"""The only code that waits: sockets, files, clocks, chance, processes."""

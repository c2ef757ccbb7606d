"""Speed against peers that people trust, measured in pairs in one run: `make bench`."""

"""What deploy/ and examples/ ship: linted by the tools that read it, run where it can be run."""

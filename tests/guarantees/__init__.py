"""What the judge promises, shown by seeded simulation."""

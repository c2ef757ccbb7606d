"""What is made of sketches."""

"""What is counted of sampled requests and replies: their fields read, and sketches of them that add up."""

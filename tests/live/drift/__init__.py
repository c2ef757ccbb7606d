"""What is read and counted of requests and replies."""

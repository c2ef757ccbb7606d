"""Charts, as the browser and paper draw them."""

"""Whether inputs, predictions and outcomes are as they were in a reference, and who has changed: world, model or feed.

Information for people: nothing here decides, and what meets all arms at once is nobody's harm.
"""

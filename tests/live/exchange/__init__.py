"""Tests of the exchange: conversations, and laws over random ones."""

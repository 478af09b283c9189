"""The long proof: daily runs killed at random moments over a shop that goes on trading, and nothing ever wrong."""

"""Unit tests of shopsync/shopify: no network, nothing sleeps."""

"""The simulator against what real shops answered, and our documents against Shopify's schema."""

"""The links that optimisers' chains are made of, and what they measure distances from."""

"""Tests of the peers: none of them is installed here."""

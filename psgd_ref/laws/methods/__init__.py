"""The methods that are held to the laws: this library's own and anybody's."""

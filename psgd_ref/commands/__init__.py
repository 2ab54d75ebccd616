"""The subcommands of the command line, one group a file: `add` declares options, the rest runs and prints."""

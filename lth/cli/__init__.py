"""The command line: `lth COMMAND`, one file a command."""

"""The command line's subcommands: they read arguments, ask the parts, and say what came of it."""

"""The command line's subcommands, one file each: they read arguments, ask the parts, and say what came of it."""

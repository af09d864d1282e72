"""The exchange as the warden, a kill and a drill speak to it: their hands, their private stream, what it answers."""

"""``perpguard doctor``: the usual mistakes, looked for one by one, each with the way to mend it."""

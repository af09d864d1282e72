"""The practice exchange: a small, real perpetual-futures exchange on loopback that speaks the venues' own protocols.

`engine/` matches, margins, liquidates and funds in nobody's dialect; `binance/` translates one venue's wire format
into it. Nothing here imports `proxy` or `rules`, and nothing there imports this.
"""

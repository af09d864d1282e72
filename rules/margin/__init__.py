"""Margin arithmetic: what tiers require, and how far the market may move before the venue liquidates.

Binance, "Leverage and Margin of USDⓈ-M Futures" and "How to Calculate Liquidation Price of USDⓈ-M Futures Contracts"
(seen 2026-11): maintenance margin of a leg = notional * rate - amount of the tier the notional is in; liquidation is
where the balance behind the legs equals the sum of these. The venue's formula keeps the tier of today's notional;
here the tier of the notional *at* the liquidation price counts, which is never farther away.

What stands behind an isolated leg is its own margin, behind cross legs the rest of the account. Fees and slippage of
the way out, and funding still to come, are in neither; nor are they in the venue's own number.
"""

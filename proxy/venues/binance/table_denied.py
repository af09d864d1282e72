"""Rows that are never forwarded, with the reason a bot is told.

Every route that is not in the table is refused too; these are named so that the refusal says something useful and so
that nobody adds one of them by accident.
"""

from __future__ import annotations

from typing import Final

from proxy.venues.binance.route import Route, denied

_REASONS: Final[dict[str, str]] = {
    "withdrawals are never forwarded": """
        POST /sapi/v1/capital/withdraw/apply
        POST /sapi/v1/localentity/withdraw/apply
        POST /sapi/v1/localentity/broker/withdraw/apply
        POST /sapi/v1/managed-subaccount/withdraw
        POST /sapi/v1/managed-subaccount/deposit""",
    "transfers are never forwarded": """
        POST /sapi/v1/asset/transfer
        POST /sapi/v1/futures/transfer
        POST /sapi/v1/sub-account/universalTransfer
        POST /sapi/v1/sub-account/futures/transfer
        POST /sapi/v1/sub-account/futures/internalTransfer
        POST /sapi/v1/sub-account/futures/move-position
        POST /sapi/v1/sub-account/margin/transfer
        POST /sapi/v1/sub-account/transfer/subToSub
        POST /sapi/v1/sub-account/transfer/subToMaster
        POST /papi/v1/bnb-transfer
        POST /papi/v1/asset-collection
        POST /papi/v1/auto-collection
        POST /sapi/v1/portfolio/bnb-transfer
        POST /sapi/v1/portfolio/asset-collection
        POST /sapi/v1/portfolio/auto-collection
        POST /sapi/v1/portfolio/earn-asset-transfer""",
    "API keys are administered by their owner, never through the guard": """
        GET /sapi/v1/sub-account/subAccountApi
        POST /sapi/v1/sub-account/subAccountApi
        DELETE /sapi/v1/sub-account/subAccountApi
        POST /sapi/v1/sub-account/subAccountApiPermission
        POST /sapi/v2/sub-account/subAccountApi/ipRestriction
        GET /sapi/v1/sub-account/subAccountApi/ipRestriction
        DELETE /sapi/v1/sub-account/subAccountApi/ipRestriction/ipList
        POST /sapi/v1/broker/subAccountApi
        POST /sapi/v1/broker/subAccountApi/permission""",
    "sub-accounts are administered by their owner, never through the guard": """
        POST /sapi/v1/sub-account/virtualSubAccount
        POST /sapi/v1/sub-account/futures/enable
        POST /sapi/v1/sub-account/margin/enable
        POST /sapi/v1/sub-account/eoptions/enable""",
    "TWAP and VP orders run on the venue for hours, where no rule can judge their slices": """
        POST /sapi/v1/algo/futures/newOrderTwap
        POST /sapi/v1/algo/futures/newOrderVp
        DELETE /sapi/v1/algo/futures/order""",
    "the portfolio margin account is not guarded here": """
        POST /papi/v1/um/order
        PUT /papi/v1/um/order
        DELETE /papi/v1/um/order
        POST /papi/v1/um/conditional/order
        DELETE /papi/v1/um/conditional/order
        POST /papi/v1/um/algo/order
        DELETE /papi/v1/um/algo/order
        DELETE /papi/v1/um/allOpenOrders
        DELETE /papi/v1/um/conditional/allOpenOrders
        DELETE /papi/v1/um/algo/allOpenOrders
        POST /papi/v1/um/leverage
        POST /papi/v1/um/positionSide/dual
        POST /papi/v1/cm/order
        PUT /papi/v1/cm/order
        DELETE /papi/v1/cm/order
        POST /papi/v1/margin/order
        POST /papi/v1/margin/order/oco
        POST /papi/v1/marginLoan
        POST /papi/v1/repayLoan
        POST /papi/v1/repay-futures-switch
        POST /sapi/v1/portfolio/repay
        POST /sapi/v1/portfolio/delta-mode
        POST /sapi/v1/portfolio/mint
        POST /sapi/v1/portfolio/redeem""",
    "converting assets is left to the owner of the account": """
        POST /fapi/v1/convert/getQuote
        POST /fapi/v1/convert/acceptQuote""",
    # ccxt lists the agreement under GET: a verb says nothing about harm.
    "legal agreements and fee settings are left to the owner of the account": """
        GET /fapi/v1/stock/contract
        POST /fapi/v1/stock/contract
        POST /fapi/v1/feeBurn""",
    "this amend is not modelled; use PUT /fapi/v1/order": """
        PUT /fapi/v1/order/amend/keepPriority""",
    "broker referral data is left to the owner of the account": """
        GET /fapi/v1/apiReferral/customization
        POST /fapi/v1/apiReferral/customization
        GET /fapi/v1/apiReferral/userCustomization
        POST /fapi/v1/apiReferral/userCustomization
        GET /fapi/v1/apiReferral/ifNewUser
        GET /fapi/v1/apiReferral/overview
        GET /fapi/v1/apiReferral/rebateVol
        GET /fapi/v1/apiReferral/tradeVol
        GET /fapi/v1/apiReferral/traderNum
        GET /fapi/v1/apiReferral/traderSummary""",
}

DENIED: Final[tuple[Route, ...]] = tuple(
    denied(method, path, reason)
    for reason, lines in _REASONS.items()
    for method, _, path in (line.strip().partition(" ") for line in lines.strip().splitlines())
)

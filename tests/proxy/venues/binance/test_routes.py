"""What is not in the table, byte for byte, is not a route."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.venues.binance.routes import ROUTES, Access, Kind, Route, RouteClass, find_route

INVENTORY = [
    tuple(line.split())
    for line in (Path(__file__).parent / "endpoints.txt").read_text().splitlines()
    if line.startswith(("GET ", "POST ", "PUT ", "DELETE "))
]
WRITES_LET_THROUGH = {
    ("POST", "/fapi/v1/order"): "PLACE",
    ("POST", "/fapi/v1/batchOrders"): "PLACE",
    ("POST", "/fapi/v1/algoOrder"): "PLACE",
    ("POST", "/fapi/v1/order/test"): "TEST_ORDER",
    ("PUT", "/fapi/v1/order"): "AMEND",
    ("PUT", "/fapi/v1/batchOrders"): "AMEND",
    ("DELETE", "/fapi/v1/order"): "CANCEL",
    ("DELETE", "/fapi/v1/batchOrders"): "CANCEL",
    ("DELETE", "/fapi/v1/allOpenOrders"): "CANCEL",
    ("DELETE", "/fapi/v1/algoOrder"): "CANCEL",
    ("DELETE", "/fapi/v1/algoOpenOrders"): "CANCEL",
    ("POST", "/fapi/v1/leverage"): "LEVERAGE",
    ("POST", "/fapi/v1/marginType"): "MARGIN_MODE",
    ("POST", "/fapi/v1/multiAssetsMargin"): "MARGIN_MODE",
    ("POST", "/fapi/v1/positionSide/dual"): "POSITION_MODE",
    ("POST", "/fapi/v1/positionMargin"): "MARGIN_ADJ",
    ("POST", "/fapi/v1/countdownCancelAll"): "DEADMAN",
    ("POST", "/fapi/v1/listenKey"): "PUBLIC_OR_STREAM_KEY",
    ("PUT", "/fapi/v1/listenKey"): "PUBLIC_OR_STREAM_KEY",
    ("DELETE", "/fapi/v1/listenKey"): "PUBLIC_OR_STREAM_KEY",
}
OTHER_HOSTS_READ = {
    "/sapi/v1/capital/config/getall",
    "/sapi/v1/margin/allPairs",
    "/sapi/v1/margin/isolated/allPairs",
    "/sapi/v1/system/status",
    "/api/v3/ping",
    "/api/v3/time",
    "/api/v3/exchangeInfo",
    "/dapi/v1/exchangeInfo",
}


def mutations(path: str) -> list[str]:
    middle = path.rindex("/")
    return [
        path.upper(),
        path.swapcase(),
        path + "/",
        path[1:],
        "/" + path,
        path[:middle] + "/" + path[middle:],
        path[:middle] + "%2f" + path[middle + 1 :],
        path[:middle] + "%2F" + path[middle + 1 :],
        path[:middle] + "\\" + path[middle + 1 :],
        path[:middle] + "/." + path[middle:],
        "/fapi/v1/time/.." + path,
        "/fapi/v1/time/%2e%2e" + path,
        path + ";x",
        path + ";jsessionid=1",
        path + ".json",
        path + "%00",
        path + "\x00",
        path + "%0d%0a",
        path + "\r\n",
        path + " ",
        " " + path,
        path + "?",
        path + "#",
        path + "%20",
        "http://fapi.binance.com" + path,
        path.replace("/v1/", "/v01/").replace("/v2/", "/v02/").replace("/v3/", "/v03/").replace("/data/", "/Data/"),
        path.replace("a", "%61").replace("i", "%69"),
        path.replace("a", "\N{CYRILLIC SMALL LETTER A}").replace(
            "i", "\N{CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I}"
        ),
    ]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_no_mutation_of_a_path_is_a_route(route: Route) -> None:
    assert find_route(route.method, route.path) is route
    for mutated in mutations(route.path):
        assert mutated != route.path
        assert find_route(route.method, mutated) is None, mutated


@pytest.mark.parametrize(
    "method", ["get", "Post", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "", "POST ", "DELETE\n"]
)
def test_no_other_method_is_a_route(method: str) -> None:
    assert all(find_route(method, route.path) is None for route in ROUTES)


@given(st.text(max_size=60))
def test_arbitrary_paths_are_not_routes(path: str) -> None:
    known = {route.path for route in ROUTES}
    assert path in known or all(find_route(method, path) is None for method in ("GET", "POST", "PUT", "DELETE"))


@pytest.mark.parametrize(("method", "path", "kind"), INVENTORY)
def test_every_documented_endpoint_is_let_through_on_purpose_or_refused(method: str, path: str, kind: str) -> None:
    route = find_route(method, path)
    if path.startswith(("/fapi/", "/futures/")):
        assert route is not None, "the table must say something about every endpoint of the futures host"
    if route is None or route.kind is Kind.DENY:
        assert (method, path) not in WRITES_LET_THROUGH
        return
    assert path.startswith(("/fapi/", "/futures/data/")) or path in OTHER_HOSTS_READ
    if (method, path) in WRITES_LET_THROUGH:
        assert kind == WRITES_LET_THROUGH[method, path]
    else:
        assert (method, kind) == ("GET", "READ")
        assert route.route_class is RouteClass.READ


def test_every_row_let_through_is_documented_and_every_refused_one_says_why() -> None:
    documented = {(method, path) for method, path, _ in INVENTORY}
    for route in ROUTES:
        if route.kind is Kind.DENY:
            assert route.reason
        else:
            assert (route.method, route.path) in documented
            assert not route.reason


def test_no_two_rows_are_the_same_target() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_only_reads_may_come_unsigned() -> None:
    for route in ROUTES:
        if route.access is not Access.SIGNED:
            assert route.kind in (Kind.PUBLIC_READ, Kind.STREAM_KEY)

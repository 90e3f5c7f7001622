"""Other words for one address, and addresses that show a key to everybody on the way."""

import ipaddress

import httpx2

_LOCAL = ("localhost", "127.0.0.1", "[::1]")


def alike(url: str) -> list[str]:
    """`url` and what else names the same server: this machine has three names. (The SDK mends case and default port.)"""
    parsed = httpx2.URL(url)
    if not is_loopback(parsed.host):
        return [url]
    port = "" if parsed.port is None else f":{parsed.port}"
    path = parsed.raw_path.decode().rstrip("/")
    return list(dict.fromkeys((url, *(f"{parsed.scheme}://{name}{port}{path}" for name in _LOCAL))))


def plain_and_remote(url: str) -> bool:
    """Whether what is sent there goes over a network unencrypted."""
    parsed = httpx2.URL(url)
    return parsed.scheme == "http" and not is_loopback(parsed.host)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

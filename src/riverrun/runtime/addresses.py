"""Which addresses a host of a URL may have: names are answered by others, and may point into one's own network.

Whoever answers for a name (a DNS server, a rebinding attacker, a wildcard service) could otherwise have us read
the metadata of our cloud machine, or a service that trusts its own network.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Ip = IPv4Address | IPv6Address

#: Where clouds tell their machines about themselves, passwords among it, beside 169.254.0.0/16.
METADATA = frozenset(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
#: IPv4 within IPv6, by translation.
_TRANSLATED = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")


def refusal(host: str, address: str, *, private: bool) -> str:
    """Why a host must not be asked at one of its addresses; nothing when it may.

    An address that stands in the URL itself was written by the user, who is trusted, and so is ``localhost``.

    Parameters
    ----------
    private : whether the user allows addresses of his own machine and network for it.

    >>> refusal("shop.example", "10.0.0.7", private=False)
    'it has the address 10.0.0.7, which is one of a private network (allow_private=True allows it)'
    >>> refusal("shop.example", "10.0.0.7", private=True), refusal("10.0.0.7", "10.0.0.7", private=False)
    ('', '')
    >>> refusal("shop.example", "169.254.169.254", private=True)
    'it has the address 169.254.169.254, where machines of a cloud are told their secrets'
    """
    if _is_address(host):
        return ""
    found = ip_address(address.partition("%")[0])
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return "" if found.is_loopback else f"it has the address {found}, which is another machine"
    reasons = (_reason(one, private=private) for one in _meant(found))
    return next((f"it has the address {found}, {reason}" for reason in reasons if reason), "")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _meant(found: Ip) -> Iterator[Ip]:
    """The address, and the IPv4 address that it stands for."""
    yield found
    if isinstance(found, IPv6Address):
        inner = [found.ipv4_mapped, found.sixtofour, found.teredo[1] if found.teredo else None]
        if found in _TRANSLATED or (found in _COMPATIBLE and not found.is_loopback):
            inner.append(IPv4Address(int(found) & 0xFFFFFFFF))
        yield from (one for one in inner if one is not None)


def _reason(found: Ip, *, private: bool) -> str:
    if found.is_link_local or found in METADATA:
        return "where machines of a cloud are told their secrets"
    if found.is_multicast or found.is_unspecified:
        return "which is that of no machine"
    mapped = isinstance(found, IPv6Address) and found.ipv4_mapped is not None
    if not private and not mapped and not found.is_global:
        whose = "of this machine" if found.is_loopback else "of a private network"
        return f"which is one {whose} (allow_private=True allows it)"
    return ""

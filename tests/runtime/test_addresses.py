"""Which addresses a host may have: those of one's own network only when asked for, those of clouds never."""

from __future__ import annotations

import pytest

from riverrun.runtime.addresses import refusal

PUBLIC = ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
OWN = [
    "127.0.0.1", "127.8.9.1", "::1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fd12::1",
    "100.64.0.1", "198.18.0.1", "240.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
    "2002:a00:1::", "::127.0.0.1", "::ffff:c0a8:1",
]  # fmt: skip
NEVER = [
    "169.254.169.254", "169.254.170.2", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "fd00:ec2::254", "100.100.100.200", "168.63.129.16",
    "192.0.0.192", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "::169.254.169.254",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_ones_may_be_asked(address):
    assert refusal("shop.example", address, private=False) == ""


@pytest.mark.parametrize("address", OWN)
def test_those_of_ones_own_network_only_when_that_is_said(address):
    reason = refusal("shop.example", address, private=False)
    assert "(allow_private=True allows it)" in reason
    assert refusal("shop.example", address, private=True) == ""


@pytest.mark.parametrize("address", NEVER)
def test_some_never(address):
    assert refusal("shop.example", address, private=True)
    assert refusal("shop.example", address, private=False)


def test_what_the_url_itself_says_is_what_the_user_says():
    assert refusal("169.254.169.254", "169.254.169.254", private=False) == ""
    assert refusal("::1", "::1", private=False) == ""


@pytest.mark.parametrize("spelled", ["127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "localtest.me"])
def test_odd_spellings_are_names(spelled):
    assert refusal(spelled, "127.0.0.1", private=False)


def test_localhost_is_this_machine():
    for host in ("localhost", "localhost.", "shop.localhost"):
        assert refusal(host, "127.0.0.1", private=False) == refusal(host, "::1", private=False) == ""
        assert (
            refusal(host, "10.0.0.7", private=True) == "it has the address 10.0.0.7, which is another machine"
        )
    assert refusal("localhost.example", "127.0.0.1", private=False)

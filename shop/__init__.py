"""The demo's three participants: inventory, payment and sales, as real HTTP services."""

from shop.shop import Shop, StartError

__all__ = ["Shop", "StartError"]

"""Customer keys and the policies that go with them."""

from constructs_lib.security.data_keys import DataKeys

__all__ = ["DataKeys"]

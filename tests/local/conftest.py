"""Fixtures of the platform's tests: one platform a session."""

from tests.fixtures.platform import local_aws, platform

__all__ = ["local_aws", "platform"]

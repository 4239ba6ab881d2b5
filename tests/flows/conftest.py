"""What the flow tests share: a shop for each module that asks for one."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.shop_floor import Floor, shop_floor


@pytest.fixture(scope="module")
def shop_of_module(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Floor]:
    """One shop for all stories of a module; in the end the audit must agree with its tables."""
    # Its threads go on between tests, where their usual lines would not belong to any.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with shop_floor(database_url, redis_url, tmp_path_factory.mktemp("stripe")) as opened:
        yield opened
        opened.settle()
        assert opened.differences() == []
    structlog.reset_defaults()


@pytest.fixture
def floor(shop_of_module: Floor) -> Iterator[Floor]:
    """The module's shop, where no contract of an earlier story runs on."""
    yield shop_of_module
    shop_of_module.end_contracts()

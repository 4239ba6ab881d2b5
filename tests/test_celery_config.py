"""The Celery app: the settings that faults were survived with, for each kind of broker."""

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from celery.app.defaults import SETTING_KEYS
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.exceptions import OperationalError

import celery_config
import settings
from workers.rabbitmq import Consumer

Configured = Callable[..., settings.Settings]


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configured:
    """Makes settings from variables, away from any .env of the machine."""
    monkeypatch.chdir(tmp_path)

    def make(**variables: str) -> settings.Settings:
        return settings.load(environ=variables)

    return make


@pytest.mark.parametrize("broker", ["redis://h:1/2", "rediss://h", "unix:///s?db=3", "amqp://h//"])
def test_every_option_is_one_that_celery_knows(configured: Configured, broker: str) -> None:
    """Celery ignores a misspelt option without a word."""
    app = celery_config.make_app(configured(REDIS_URL="redis://h", CELERY_BROKER_URL=broker))
    changed = set(app.conf.changes)
    # Celery's own bookkeeping is among the changes.
    assert changed - SETTING_KEYS - {"deprecated_settings"} == {
        "redbeat_key_prefix",
        "redbeat_lock_timeout",
        "redbeat_redis_options",
        "redbeat_redis_url",
    }


def test_a_redis_broker_gives_messages_back_soon(configured: Configured) -> None:
    """What a killed worker held comes back within about a minute."""
    app = celery_config.make_app(configured(REDIS_URL="redis://h"))
    options = app.conf.broker_transport_options
    assert (options["visibility_timeout"], options["unacked_restore_interval"]) == (60, 5)
    assert options["visibility_timeout"] > app.conf.task_time_limit
    assert (app.conf.task_acks_late, app.conf.worker_prefetch_multiplier) == (True, 1)
    assert app.conf.beat_schedule["sweep"]["task"] == "workers.tasks.sweep"


def test_rabbitmq_is_given_no_option_of_redis(configured: Configured) -> None:
    """It would refuse to connect with them; the clock's lock stays in Redis."""
    found = configured(REDIS_URL="redis://h", CELERY_BROKER_URL="amqp://h//")
    app = celery_config.make_app(found)
    assert app.conf.broker_transport_options == {"read_timeout": 3, "write_timeout": 3}
    assert app.conf.redbeat_redis_url == "redis://h"


def test_a_socket_is_spelt_as_kombu_spells_it(configured: Configured) -> None:
    """unix:// is redis-py's word for it."""
    app = celery_config.make_app(configured(REDIS_URL="unix:///run/redis.sock?db=3"))
    assert app.conf.broker_url == "redis+socket:///run/redis.sock?virtual_host=3"


@pytest.mark.parametrize("broker", ["redis://127.0.0.1:1", "amqp://127.0.0.1:1//"])
def test_a_publisher_gives_up_on_a_missing_broker_at_once(
    configured: Configured, broker: str
) -> None:
    """Whoever sends a wake-up has a request to answer."""
    found = configured(REDIS_URL="redis://h", CELERY_BROKER_URL=broker)
    app = celery_config.make_app(found, publisher=True)
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(OperationalError):
            app.send_task(celery_config.DRAIN, ignore_result=True)
    assert time.monotonic() - began < 2


def test_importing_it_reads_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command must be able to say what is wrong with them, in its own words."""
    monkeypatch.setenv("PORT", "nonsense")
    fresh = importlib.util.find_spec("celery_config")
    assert fresh is not None
    assert fresh.loader is not None
    module = importlib.util.module_from_spec(fresh)
    fresh.loader.exec_module(module)
    with pytest.raises(settings.SettingsError):
        _ = module.app
    monkeypatch.setenv("PORT", "8000")
    assert module.app is module.app
    assert not hasattr(module, "nothing")


def test_rabbitmq_has_a_quorum_queue_unless_another_is_wanted(configured: Configured) -> None:
    """Of a name of its own, because a queue keeps the type that it was declared with."""
    several = {"REDIS_URL": "redis://h", "CELERY_BROKER_URL": "amqp://q1//;amqp://q2//"}
    quorum = celery_config.make_app(configured(**several))
    assert quorum.conf.broker_url == "amqp://q1//;amqp://q2//"
    [(name, queue)] = quorum.amqp.queues.items()
    assert (name, queue.queue_arguments) == ("billing-quorum", {"x-queue-type": "quorum"})
    classic = celery_config.make_app(configured(**several, CELERY_QUEUE_TYPE="classic"))
    [(name, queue)] = classic.amqp.queues.items()
    assert (name, queue.queue_arguments) == ("billing", None)
    by_redis = celery_config.make_app(configured(REDIS_URL="redis://h"))
    assert list(by_redis.amqp.queues) == ["billing"]


def test_the_consumer_of_rabbitmq_has_every_step_but_delayed_delivery() -> None:
    """Celery may have others in its next release."""
    left_out = set(CeleryConsumer.Blueprint.default_steps) - set(Consumer.Blueprint.default_steps)
    assert left_out == {"celery.worker.consumer.delayed_delivery:DelayedDelivery"}

"""Stories of subscriptions beyond one plan at its own price: every kind that is billed oddly."""

from dev.simulate.discounted import DISCOUNTED
from dev.simulate.inline import INLINE
from dev.simulate.metered import METERED
from dev.simulate.running import RUNNING
from dev.simulate.scene import Story
from dev.simulate.starting import STARTING

SUBSCRIBING: dict[str, Story] = {**DISCOUNTED, **METERED, **INLINE, **STARTING, **RUNNING}

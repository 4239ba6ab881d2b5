"""Stories of subscriptions beyond one plan at its own price: every kind that is billed oddly."""

from sandbox.simulate.discounted import DISCOUNTED
from sandbox.simulate.inline import INLINE
from sandbox.simulate.metered import METERED
from sandbox.simulate.running import RUNNING
from sandbox.simulate.scene import Story
from sandbox.simulate.starting import STARTING

SUBSCRIBING: dict[str, Story] = {**DISCOUNTED, **METERED, **INLINE, **STARTING, **RUNNING}

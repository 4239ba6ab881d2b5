"""Which stories `simulate` plays: take one out here and no run has it."""

from dev.simulate.money import MONEY
from dev.simulate.reversing import REVERSING
from dev.simulate.scene import Story
from dev.simulate.selling import SELLING
from dev.simulate.subscribing import SUBSCRIBING

ENABLED: dict[str, Story] = {**SELLING, **REVERSING, **MONEY, **SUBSCRIBING}

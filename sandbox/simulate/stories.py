"""Which stories `simulate` plays: take one out here and no run has it."""

from sandbox.simulate.money import MONEY
from sandbox.simulate.reversing import REVERSING
from sandbox.simulate.scene import Story
from sandbox.simulate.selling import SELLING
from sandbox.simulate.subscribing import SUBSCRIBING

ENABLED: dict[str, Story] = {**SELLING, **REVERSING, **MONEY, **SUBSCRIBING}

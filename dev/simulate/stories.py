"""Which stories `simulate` plays: take one out here and no run has it."""

from dev.simulate.reversing import REVERSING
from dev.simulate.scene import Story
from dev.simulate.selling import SELLING

ENABLED: dict[str, Story] = {**SELLING, **REVERSING}

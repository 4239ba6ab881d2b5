"""Stories whose events do not say everything: Stripe has to be asked for the rest.

Not among the stories that `simulate` plays by itself: its account answers no question, so a product
that asks its own Stripe learns nothing. For runs against a Stripe that has the same account.
"""

from dev.simulate.cycles import cycle
from dev.simulate.deals import Deal, Extra, sign
from dev.simulate.discounted import a_mode, move
from dev.simulate.scene import Scene, Story

# As many lines as an event shows.
SHOWN = 10


def _many_lines(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.known)
    subscription = sign(
        scene.account, scene.customer, Deal(plan, mode=a_mode(scene), lists_cut=SHOWN)
    )
    for quantity in (2, 5, 3, 4, 6, 2):
        scene.account.wait(scene.chance.randint(3600, 2 * 86400))
        move(scene, subscription, plan, quantity, bills="later")
    cycle(scene.account, subscription)


def _plan_out_of_sight(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.known)
    extras = tuple(Extra(f"Option {number}", 100, 1, first=True) for number in range(SHOWN))
    deal = Deal(plan, extras=extras, lists_cut=SHOWN)
    cycle(scene.account, sign(scene.account, scene.customer, deal))


ASKING: dict[str, Story] = {
    "more lines than shown": Story(_many_lines, 1, "known"),
    "plan beyond the lines shown": Story(_plan_out_of_sight, 1, "known"),
}

"""Stories of money that goes back, and of the rest an account reports."""

from sandbox.simulate.objects import customer_object
from sandbox.simulate.scene import Scene, Story


def _refund_full(scene: Scene) -> None:
    charge = scene.paid_charge()
    scene.account.refund(charge, charge.intent.amount)


def _refund_parts(scene: Scene) -> None:
    charge = scene.paid_charge()
    for _ in range(scene.chance.randint(1, 2)):
        scene.account.refund(charge, charge.intent.amount // 3)
        scene.days(1, 3)


def _refund_slow(scene: Scene) -> None:
    charge = scene.paid_charge()
    refund = scene.account.refund(charge, charge.intent.amount // 2, status="pending")
    scene.days(1, 3)
    scene.account.finish_refund(refund, succeeds=True)


def _refund_failed(scene: Scene) -> None:
    charge = scene.paid_charge()
    refund = scene.account.refund(charge, charge.intent.amount // 2)
    scene.days(1, 20)
    scene.account.finish_refund(refund, succeeds=False)
    # Older versions report only a cumulative sum, which a second refund would make ambiguous.
    if scene.customer.version.refund_events:
        scene.account.refund(charge, charge.intent.amount // 4)


def _dispute(scene: Scene) -> None:
    charge = scene.paid_charge()
    dispute = scene.account.dispute(charge, charge.intent.amount)
    scene.days(1, 5)
    scene.account.review(dispute)
    scene.days(10, 40)
    scene.account.close_dispute(dispute, won=scene.coin)


def _dispute_rest(scene: Scene) -> None:
    charge = scene.paid_charge()
    scene.account.refund(charge, charge.intent.amount // 3)
    scene.days(1, 3)
    scene.account.dispute(charge, charge.intent.amount - charge.amount_refunded)


def _inquiry(scene: Scene) -> None:
    charge = scene.paid_charge()
    dispute = scene.account.dispute(charge, charge.intent.amount, inquiry=True)
    scene.days(1, 5)
    scene.account.review(dispute)
    scene.account.close_dispute(dispute, won=True)


def _voided(scene: Scene) -> None:
    subscription = scene.monthly()
    invoice = scene.account.begin_cycle(subscription)
    scene.account.fall_behind(subscription, invoice)
    scene.account.void(invoice)
    scene.account.end(subscription, "payment_failed")


def _paused(scene: Scene) -> None:
    subscription = scene.monthly()
    scene.days(2, 10)
    if not scene.customer.version.real_pause:
        scene.account.pause_collection(subscription, "void")
        return
    scene.account.pause(subscription)
    scene.days(2, 10)
    if scene.coin:
        scene.account.resume(subscription)


def _moved(scene: Scene) -> None:
    scene.package()
    scene.days(1, 5)
    previous = {"email": scene.customer.email}
    scene.customer.email = f"new-{scene.customer.email}"
    drawn = customer_object(scene.customer)
    scene.account.emit("customer.updated", drawn, scene.customer, previous)


def _left(scene: Scene) -> None:
    scene.monthly()
    scene.days(2, 20)
    scene.account.delete_customer(scene.customer)


REVERSING: dict[str, Story] = {
    "refund, full": Story(_refund_full, 3, "any"),
    "refund, in parts": Story(_refund_parts, 3, "any"),
    "refund, slow": Story(_refund_slow, 1, "any"),
    "refund, failed": Story(_refund_failed, 1, "any"),
    "dispute": Story(_dispute, 2, "any"),
    "dispute of the rest": Story(_dispute_rest, 1, "any"),
    "inquiry": Story(_inquiry, 1, "any"),
    "invoice voided": Story(_voided, 1, "recurring"),
    "paused": Story(_paused, 1, "recurring"),
    "customer moved": Story(_moved, 1, "packages"),
    "customer left": Story(_left, 1, "recurring"),
}

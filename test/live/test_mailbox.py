import threading

from samlite_ros.live.mailbox import Delivery, Mailbox

DEADLINE_S = 10.0


def test_the_newest_item_wins_and_drops_are_counted():
    mailbox = Mailbox()
    for item in (1, 2, 3):
        mailbox.put(item)
    assert mailbox.take() == Delivery((), 3)
    assert mailbox.dropped == 2
    mailbox.put(4)
    assert mailbox.take().item == 4
    assert mailbox.dropped == 2


def test_every_command_is_kept_in_order():
    mailbox, ran = Mailbox(), []
    for number in range(5):
        mailbox.post(lambda number=number: ran.append(number))
    mailbox.put("image")
    delivery = mailbox.take()
    for command in delivery.commands:
        command()
    assert ran == [0, 1, 2, 3, 4]
    assert delivery.item == "image"


def test_waiting_ends_with_time_or_with_the_mailbox():
    mailbox = Mailbox()
    assert mailbox.take(timeout_s=0.0) == Delivery((), None)
    mailbox.put(1)
    mailbox.close()
    assert mailbox.take() is None


def test_a_waiting_taker_gets_what_another_thread_puts():
    mailbox, taken = Mailbox(), []

    def take_until_closed():
        while (delivery := mailbox.take(DEADLINE_S)) is not None:
            taken.append(delivery.item)
            seen.set()

    seen = threading.Event()
    taker = threading.Thread(target=take_until_closed)
    taker.start()
    for item in range(20):
        seen.clear()
        mailbox.put(item)
        assert seen.wait(DEADLINE_S)
    mailbox.close()
    taker.join(DEADLINE_S)
    assert taken == list(range(20))
    assert mailbox.dropped == 0

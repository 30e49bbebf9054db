"""What a node keeps is not searched for garbage."""

import subprocess
import sys

SETTLED = """
import gc, weakref
from samlite_ros.live.memory import settle_memory

class Ring:
    def __init__(self):
        self.self = self

gc.disable()
kept, before = Ring(), weakref.ref(Ring())
settle_memory()
after = weakref.ref(Ring())
searched = any(item is kept for item in gc.get_objects())
gc.collect()
print(searched, before() is None, after() is None)
"""


def test_what_stays_is_not_searched_for_garbage_and_garbage_still_goes():
    run = subprocess.run([sys.executable, "-c", SETTLED], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True", "True"]

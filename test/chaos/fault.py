"""What a fault is."""

import dataclasses
import typing


@dataclasses.dataclass(frozen=True)
class Fault:
    name: str
    what: str  # one line for people
    action: typing.Callable
    expect: str = "any"  # failover, none, any
    needs: str = ""  # network, throttle, small-disks, faketime
    patience_s: float = 60  # until the first new write
    settle_s: float = 90  # until three members stream again
    no_errors: bool = False  # the clients must notice nothing
    cuts_off_clients: bool = False  # together with an old leader: such a client may wait, and may read the past
    systems: tuple = ("multigres",)


class Catalogue(dict):
    """Faults by name; add() is a decorator for their actions, whose first sentence describes them."""

    def add(self, name=None, what=None, **more):
        def register(action):
            fault = Fault(name or action.__name__, what or action.__doc__.strip().split("\n")[0], action, **more)
            self[fault.name] = fault
            return action
        return register

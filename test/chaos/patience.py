"""Waiting for conditions."""

import time


def wait_until(condition, timeout, what, interval=0.05):
    """Polls `condition` until it gives something true, which is returned; its last exception or `what` tells why it never did."""
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
        except Exception as error:  # noqa: BLE001
            last = error
        time.sleep(interval)
    raise AssertionError(f"{what} not within {timeout} s" + (f": {last}" if last else ""))

"""Hosts: each a network namespace behind a router (the namespace that we are in), or an address of loopback.

Packets are dropped by the router's rules, without a word to the sender, one direction at a time."""

import os
import pathlib
import subprocess
import time

# A line that is hopelessly overloaded by a standby's WAL.
THROTTLE = ("tbf", "rate", "400kbit", "burst", "16kb", "latency", "300ms")


def ip(*arguments):
    subprocess.run(["ip", *map(str, arguments)], check=True, capture_output=True, text=True)


def can_throttle():
    """Not every kernel has that queue."""
    done = subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", *THROTTLE], capture_output=True)
    subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], capture_output=True)
    return done.returncode == 0


class Host:
    """A machine as far as services can tell: an address, a folder, and a way to run programs there."""

    def __init__(self, name, address, folder, namespace=None):
        self.name = name
        self.address = address
        self.folder = folder
        self.namespace = namespace  # path of its network namespace; None = ours

    def command(self, argv, account):
        """What to execute, so that `argv` runs on this host as that (uid, gid). Each step replaces itself by the next."""
        prefix = []
        if self.namespace:
            prefix += ["nsenter", f"--net={self.namespace}"]
        if account:
            uid, gid = account
            prefix += ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        return [*prefix, *map(str, argv)]

    def processes(self):
        """Pids of everything that works on this host's files: services by their command lines, PostgreSQL by its folder."""
        mine = os.fsencode(str(self.folder)) + b"/"
        found = []
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit():
                continue
            try:
                command = pathlib.Path(entry.path, "cmdline").read_bytes()
                folder = os.fsencode(os.readlink(f"{entry.path}/cwd")) + b"/"
            except OSError:
                continue
            if folder.startswith(mine) or mine in command:
                found.append(int(entry.name))
        return found


class LoopbackNetwork:
    """Every host is an address of 127.0.0.0/8. Nothing can be cut."""

    isolated = False
    client_range = "127.0.0.0/8"

    def __init__(self, work):
        self.work = work
        self.hosts = {}

    def add_host(self, name):
        host = Host(name, f"127.0.0.{10 + len(self.hosts)}", self.work / name)
        host.folder.mkdir(mode=0o755)
        self.hosts[name] = host
        return host

    def heal(self):
        pass

    def close(self):
        pass


class NamespaceNetwork:
    """10.77.N.2 is host N, 10.77.N.1 the router's side of its cable."""

    isolated = True
    client_range = "10.77.0.0/16"

    def __init__(self, work):
        self.work = work
        self.hosts = {}
        self.keepers = []  # a process that holds each namespace
        self.rules = []
        self.interfaces = {}
        self.slow = []
        ip("link", "set", "lo", "up")
        pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def add_host(self, name):
        number = len(self.hosts) + 1
        keeper = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL, start_new_session=True)
        self.keepers.append(keeper)
        ours = os.stat("/proc/self/ns/net").st_ino
        namespace = f"/proc/{keeper.pid}/ns/net"
        deadline = time.monotonic() + 10
        while os.stat(namespace).st_ino == ours:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no network namespace for {name}")
            time.sleep(0.01)
        ip("link", "add", f"host{number}", "type", "veth", "peer", "name", "eth0", "netns", keeper.pid)
        ip("addr", "add", f"10.77.{number}.1/24", "dev", f"host{number}")
        ip("link", "set", f"host{number}", "up")
        host = Host(name, f"10.77.{number}.2", self.work / name, namespace)
        for arguments in (("link", "set", "lo", "up"), ("addr", "add", f"{host.address}/24", "dev", "eth0"),
                          ("link", "set", "eth0", "up"), ("route", "add", "default", "via", f"10.77.{number}.1")):
            subprocess.run(["nsenter", f"--net={namespace}", "ip", *arguments], check=True, capture_output=True)
        host.folder.mkdir(mode=0o755)
        self.hosts[name] = host
        self.interfaces[name] = f"host{number}"
        return host

    def drop(self, senders, receivers):
        """No packet of these senders reaches these receivers any more; the other direction stays."""
        self._add([("from", a.address, "to", b.address) for a in senders for b in receivers])

    def cut(self, ones, others):
        """No packet passes between these two groups of hosts."""
        self._add([("from", a.address, "to", b.address) for one in ones for other in others for a, b in ((one, other), (other, one))])

    def unplug(self, *hosts):
        """Pulls the cables: nobody notices but by silence."""
        self._add([(way, host.address) for host in hosts for way in ("from", "to")])

    def plug(self, *hosts):
        addresses = {host.address for host in hosts}
        self._remove([rule for rule in self.rules if len(rule) == 2 and rule[1] in addresses])

    def heal(self):
        self._remove(self.rules)
        for interface in self.slow:
            subprocess.run(["tc", "qdisc", "del", "dev", interface, "root"], check=True, capture_output=True)
        self.slow = []

    def throttle(self, host):
        """What is sent to this host arrives slowly, or not at all."""
        subprocess.run(["tc", "qdisc", "add", "dev", self.interfaces[host.name], "root", *THROTTLE], check=True, capture_output=True)
        self.slow.append(self.interfaces[host.name])

    def _add(self, rules):
        self._change("add", rules)
        self.rules += rules

    def _remove(self, rules):
        self._change("del", rules)
        self.rules = [rule for rule in self.rules if rule not in rules]

    @staticmethod
    def _change(verb, rules):
        """All at once, as near as a program can: a cut that takes long is none."""
        lines = "".join(f"rule {verb} {' '.join(rule)} blackhole priority 10\n" for rule in rules)
        if lines:
            subprocess.run(["ip", "-batch", "-"], input=lines, check=True, capture_output=True, text=True)

    def close(self):
        self.heal()
        for keeper in self.keepers:
            keeper.kill()
            keeper.wait()

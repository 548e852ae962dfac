"""Namespaces of our own for everything that a run starts: whatever happens, nothing of it outlives the run.

The program runs itself again in new network, mount and process namespaces. Process 1 there is a reaper (a postmaster whose
parent is dead must not stay a zombie: its pooler would take it for alive); when it ends, the kernel kills the rest and takes
back interfaces and mounts."""

import os
import pwd
import signal
import subprocess
import sys

INSIDE = "MULTIGRES_CHAOS_SANDBOX"
UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--propagation", "private"]
SERVICE_USER = "multigres"


def can_isolate():
    """None if namespaces with routing between them can be made here, else why not."""
    if os.geteuid() != 0:
        return "not root"
    trial = ("ip link set lo up && ip link add name one type veth peer name other && echo 1 > /proc/sys/net/ipv4/ip_forward"
             " && ip rule add from 10.0.0.1 blackhole && mount -t tmpfs none /mnt")
    try:
        done = subprocess.run([*UNSHARE, "sh", "-c", trial], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else done.stderr.strip() or f"exit status {done.returncode}"


def enter(main):
    """Runs main(isolated) within namespaces if they can be made, else right here; exits with its result."""
    if os.environ.get(INSIDE):
        sys.exit(_reap_around(lambda: main(True)))
    reason = can_isolate()
    if reason is None:
        os.environ[INSIDE] = "1"
        os.execvp(UNSHARE[0], [*UNSHARE, sys.executable, "-B", *sys.argv])
    print(f"chaos: no network namespaces here ({reason}): hosts are loopback addresses, faults of network and disk are left out",
          flush=True)
    sys.exit(main(False))


def _reap_around(main):
    """As process 1: runs main() in a child, reaps every orphan, gives the child's exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = main()
        except SystemExit as request:
            status = request.code if isinstance(request.code, int) else 1
        except BaseException:  # noqa: BLE001
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status or 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(child, received))
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


def service_account():
    """(uid, gid) that services run as; None if we are nobody special ourselves. Made if absent, as `multigres` does it."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/var/lib/multigres",
                        "--shell", "/usr/sbin/nologin", SERVICE_USER], check=True, capture_output=True)
        entry = pwd.getpwnam(SERVICE_USER)
    return entry.pw_uid, entry.pw_gid

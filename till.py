import socket
import sys
import time

lines = [b"%d,north,%d\n" % (second, second % 10) for second in range(400)]
lines[290] = b"290,north,free\n"

acked, target = 0, int(sys.argv[1])
while acked < target:
    try:
        with socket.create_connection(("127.0.0.1", 7788), timeout=5) as service:
            service.sendall(b"HELLO till-1\n")
            answers = service.makefile("rb")
            acked = int(answers.readline())
            service.sendall(b"".join(lines[acked:target]))
            while acked < target:
                acked = int(answers.readline())
    except (OSError, ValueError):  # nobody there, or gone: try again
        time.sleep(0.2)

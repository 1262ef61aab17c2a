"""A server of a test's own, which answers plain requests as the test likes."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def serve_answers(answer: Callable[[str, int], bytes | None]) -> Iterator[tuple[str, list[list[str]]]]:
    """Give each request what `answer` makes of its path and of how many came before over its connection, and
    close the connection where that is None.

    The URL, and for each connection the paths that were asked for over it.
    """
    listener, asked, threads = socket.create_server(("127.0.0.1", 0)), list[list[str]](), []

    def serve(connection: socket.socket, paths: list[str]) -> None:
        # Whoever asked may be gone.
        with connection, suppress(ConnectionError):
            while head := connection.recv(65536):
                paths.append(head.split(b" ")[1].decode())
                if (said := answer(paths[-1], len(paths) - 1)) is None:
                    return
                connection.sendall(said)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            asked.append([])
            threads.append(threading.Thread(target=serve, args=[connection, asked[-1]]))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join()

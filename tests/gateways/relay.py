"""A proxy between a gateway and Keyturn that records the requests of the gateway unchanged.

    relay.py KEYTURN_PORT SOURCE=PORT=FILE...

Listens on 127.0.0.1:PORT, passes everything on to Keyturn from the loopback address SOURCE, so that Keyturn can distinguish
the trusted gateway from other processes on the machine, and appends the forwarded bytes to FILE.
"""

import asyncio
import sys


async def pump(reader, writer, record=None):
    try:
        while data := await reader.read(65536):
            if record:
                record.write(data)
                record.flush()
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def relay(keyturn, source, record):
    async def serve(reader, writer):
        try:
            there = await asyncio.open_connection("127.0.0.1", keyturn, local_addr=(source, 0))
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(pump(reader, there[1], record), pump(there[0], writer))

    return serve


async def main():
    keyturn = int(sys.argv[1])
    for one in sys.argv[2:]:
        source, port, path = one.split("=", 2)
        await asyncio.start_server(relay(keyturn, source, open(path, "ab")), "127.0.0.1", int(port))
    await asyncio.Event().wait()


asyncio.run(main())

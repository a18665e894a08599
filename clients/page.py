"""The query page as somebody uses it who sits before a browser. Arguments: the door of GraphQL, that of objects, a directory for the
browser, and one for pictures, or nothing."""

import asyncio
import base64
import json
import pathlib
import socket
import struct
import subprocess
import sys
import time
import urllib.request

import websockets

graphql, objects, profile, pictures = sys.argv[1:5]
SOON = 30.0


def set_object(key: str, number: int) -> None:
    """By the object protocol, which makes its table the first time."""
    host, port = objects.rsplit(":", 1)
    payload = b"\x01" + struct.pack(">H", len(key)) + key.encode() + struct.pack(">Bq", 1, number)
    with socket.create_connection((host, int(port)), SOON) as connection:
        connection.sendall(struct.pack(">Q", len(payload)) + payload)
        assert connection.recv(8), "an answer"


class Page:
    """A page of the browser, by the protocol that its tools speak."""

    def __init__(self, connection) -> None:
        self.connection = connection
        self.count = 0

    async def command(self, method: str, **parameters):
        self.count += 1
        await self.connection.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            message = json.loads(await asyncio.wait_for(self.connection.recv(), SOON))
            assert message.get("method") != "Runtime.exceptionThrown", message
            if message.get("id") == self.count:
                assert "error" not in message, message
                return message["result"]

    async def value(self, script: str):
        answer = await self.command("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    async def run(self, query: str) -> None:
        await self.value(f"document.getElementById('query').value = {json.dumps(query)}")
        await self.value("document.getElementById('answer').textContent = ''")
        await self.value("document.getElementById('run').click()")

    async def shows(self, text: str, name: str) -> None:
        """Waits until the answer has this text, and takes a picture."""
        begun = time.monotonic()
        while True:
            shown = await self.value("document.getElementById('answer').textContent")
            if text in shown:
                break
            state = await self.value("document.getElementById('state').textContent")
            assert time.monotonic() - begun < SOON, f"{text} is not shown, but {state}: {shown}"
            await asyncio.sleep(0.1)
        if pictures:
            picture = await self.command("Page.captureScreenshot")
            folder = pathlib.Path(pictures)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.png").write_bytes(base64.b64decode(picture["data"]))


async def use(address: str) -> None:
    async with websockets.connect(address, max_size=None) as connection:
        page = Page(connection)
        await page.command("Runtime.enable")
        await page.command("Page.enable")
        await page.command("Page.navigate", url=f"http://{graphql}/graphql")
        begun = time.monotonic()
        while await page.value("document.getElementById('run') !== null && document.readyState") != "complete":
            assert time.monotonic() - begun < SOON, "the page does not load"
            await asyncio.sleep(0.1)
        await page.run("{ objects_objects { nodes { key value } } }")
        await page.shows('"key": "first"', "query")
        await page.run('mutation { insertObjects_objects(rows: [{key: "<b>bold</b>", value: 2}]) { count nodes { key } } }')
        await page.shows('"key": "<b>bold</b>"', "mutation")
        await page.run("{ nothing }")
        await page.shows("Query has no field nothing", "refusal")
        await page.value("document.getElementById('tables').click()")
        await page.shows('"name": "objects_objects"', "tables")
        await page.run("subscription { objects_objects { resolved changes { operation node { key value } } } }")
        await page.shows('"resolved": "', "following")
        set_object("second", 3)
        await page.shows('"key": "second"', "followed")
        await page.value("document.getElementById('stop').click()")
        state = await page.value("document.getElementById('state').textContent")
        assert state == "stopped", state


set_object("first", 1)
browser = subprocess.Popen(
    ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--window-size=1100,700",
     f"--user-data-dir={profile}", "about:blank"],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
)
try:
    assert browser.stderr is not None
    # It says where it is to be talked to.
    ports = (line.split("ws://", 1)[1].split("/", 1)[0] for line in browser.stderr if "ws://" in line)
    host, port = next(ports).rsplit(":", 1)
    with urllib.request.urlopen(f"http://{host}:{port}/json", timeout=SOON) as answer:
        pages = [page for page in json.load(answer) if page["type"] == "page"]
    asyncio.run(use(pages[0]["webSocketDebuggerUrl"]))
finally:
    browser.terminate()
    browser.wait()
print("the page does what it is for")

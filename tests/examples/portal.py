"""Walks the customer portal in Chromium from a demo application, with and without JavaScript, as a page and in a frame.

    portal.py APP_URL ISSUER

Starts chromedriver on a free port and stops it at the end. The application must list its origin in the portal's settings.
"""

import base64
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """A browser with a profile of its own, driven with the WebDriver protocol."""

    def __init__(self, driver: str, has_script: bool):
        self.driver = driver
        # As for most people: a site in a frame has no cookies but partitioned ones.
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server",
                     "--test-third-party-cookie-phaseout"]
        options = {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}
        self.session = self.call("POST", "/session", {"capabilities": options})["sessionId"]
        parameters = {"value": not has_script}
        self.act("/goog/cdp/execute", {"cmd": "Emulation.setScriptExecutionDisabled", "params": parameters})

    def call(self, method: str, path: str, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.driver + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]

    def act(self, path: str, body):
        return self.call("POST", f"/session/{self.session}{path}", body)

    def open(self, url: str) -> None:
        self.act("/url", {"url": url})

    def find(self, kind: str, text: str):
        """Waits for an element of that kind with that text, and returns it."""
        xpath = {
            "button": f"//button[normalize-space()='{text}']",
            "link": f"//a[normalize-space()='{text}']",
            "field": f"//*[@id=//label[starts-with(normalize-space(), '{text}')]/@for]",
            "text": f"//*[contains(normalize-space(), '{text}')]",
            "frame": "//iframe",
        }[kind]
        deadline = time.monotonic() + 15
        while True:
            try:
                return self.act("/element", {"using": "xpath", "value": xpath})[ELEMENT]
            except urllib.error.HTTPError as error:
                if error.code != 404 or time.monotonic() > deadline:
                    sys.exit(f"no {kind} {text!r} in {self.source()}")
                time.sleep(0.1)

    def click(self, kind: str, text: str) -> None:
        self.act(f"/element/{self.find(kind, text)}/click", {})

    def fill(self, field: str, text: str) -> None:
        self.act(f"/element/{self.find('field', field)}/value", {"text": text})

    def source(self) -> str:
        return self.call("GET", f"/session/{self.session}/source")

    def url(self) -> str:
        return self.call("GET", f"/session/{self.session}/url")

    def enter_frame(self) -> None:
        self.act("/frame", {"id": {ELEMENT: self.find("frame", "")}})

    def secret(self) -> str:
        """Reads the secret that is shown once, confirms and continues."""
        self.find("text", "Save your secret")
        secret = self.source().split('id="secret">')[1].split("<")[0]
        self.click("field", "I saved this secret")
        self.click("button", "Continue")
        self.find("text", "Last used")
        return secret

    def close(self) -> None:
        self.call("DELETE", f"/session/{self.session}")


def works(issuer: str, secret: str) -> bool:
    login = base64.b64encode(f"{secret.split('_')[1]}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {login}"}
    request = urllib.request.Request(issuer + "/oauth/token", b"grant_type=client_credentials", headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status == 200
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403):
            raise
        return False


def walk(browser: Browser, issuer: str) -> None:
    browser.find("text", "API keys of Acme Rockets")
    browser.click("button", "Continue")
    browser.click("link", "Create API key")
    browser.fill("Name", "from the demo")
    browser.click("field", "read:orders/*")
    browser.click("button", "Create API key")
    first = browser.secret()
    assert works(issuer, first), "a new key works"
    browser.click("link", "Rotate")
    browser.click("field", "1 hour")
    browser.click("button", "Rotate key")
    second = browser.secret()
    assert works(issuer, first) and works(issuer, second), "both secrets work in the grace period"
    browser.click("link", "Revoke")
    browser.click("button", "Revoke key")
    browser.find("text", "Revoked. The key and its tokens")
    assert not works(issuer, first) and not works(issuer, second), "a revoked key works"


def main() -> None:
    app, issuer = sys.argv[1:]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(address + "/status", timeout=5).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    sys.exit("chromedriver does not start")
                time.sleep(0.1)
        for has_script in (True, False):
            browser = Browser(address, has_script)
            browser.open(app + "/")
            browser.click("link", "API keys")
            walk(browser, issuer)
            browser.click("link", "Back to Orders")
            assert browser.url() == app + "/", browser.url()
            browser.close()
            browser = Browser(address, has_script)
            browser.open(app + "/settings")
            browser.enter_frame()
            walk(browser, issuer)
            browser.close()
    finally:
        driver.terminate()
        driver.wait(10)


if __name__ == "__main__":
    main()

"""Take the README's picture: python tools/screenshot.py COVER-FOLDER SECONDS docs/report.png (needs chromium)."""

import io
import shutil
import sys
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--window-size=1150,1330")


def main() -> None:
    """Open the report, jump to a place, save what is seen."""
    folder, seconds, target = Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    browser.get((folder / "report.html").resolve().as_uri())
    browser.execute_script(f"seek({seconds})")
    time.sleep(1)
    browser.execute_script("draw()")
    picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    picture.quantize(128).save(target, optimize=True)
    browser.quit()


if __name__ == "__main__":
    main()

"""Files of annotation tools: text or JSON, and an image that they describe."""

import json

from PIL import Image

HEIGHT, WIDTH = 30, 40
BOX = [20, 5, 10, 15]  # x, y, width, height


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(path)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))

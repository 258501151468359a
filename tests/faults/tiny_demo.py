"""demo.py with coarse textures in its page, which take most of its time with a small face model."""

import demo
from reconstruction import html_page
from utils.errors import run_main

if __name__ == "__main__":
    html_page._TEXTURE_SIZE = 32
    run_main(demo.main)

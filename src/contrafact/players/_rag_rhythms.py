"""The right hand in ragtime, counted in the rags of the training split (``benchmarks/ragtime.py --count``)."""

from __future__ import annotations

RHYTHMS: dict[str, int] = {
    "x.x.x.x.": 187, "xxxx.xxx": 145, "x.x...x.": 128, "x...x.x.": 94, "..x.x...": 74, ".xxxxx.x": 74, "xxxx.x.x": 68,
    "x...x...": 67, "..x.x.x.": 63, "x.......": 62, "xxxx.xx.": 61, "xxxxxxxx": 54, ".xxxxxxx": 52, "x.xx.xxx": 50,
    "xx.xx.xx": 47, "xx.x.xxx": 40, "........": 36, "xxxxxx.x": 34, "x.x..xxx": 34, "xx.xx.x.": 34, "x.x.x...": 32,
    "xx.x.xx.": 31, "x.xxxxxx": 26, "xx.x....": 25, "....x...": 24, "x....xxx": 24, "xx.xxxx.": 23, "x.xxx.x.": 22,
    "x.x.....": 21, "xx.xxxxx": 21, "....x.x.": 19, "x.x.xx.x": 18, "x.xx.xx.": 18, "x.....xx": 16, "..x...x.": 15,
    "x.xxxxx.": 14, "xxxxx.x.": 13, "xxxx....": 12, "x.x.x.xx": 12, "x..x.xx.": 12, "x..x.xxx": 12, "x.....x.": 11,
    "x..xx...": 10, "xxx...x.": 10, "..xxx.x.": 10, ".xx.x.x.": 10, "......x.": 9, "x..xx..x": 8, ".....xxx": 8,
    ".xxx.xx.": 8, ".xxx.xxx": 7, "..x.x.xx": 7, "xxxx..x.": 7, "x...xxxx": 7, ".xxxxx..": 7, "x....x.x": 7,
    ".xx.x.xx": 6, "..xxxxxx": 6,
}  # fmt: skip
"""Rhythms on the sixteenths of two beats, x where the hand strikes, and how often; rarer ones are left out."""

SIZES: dict[int, tuple[int, int, int, int]] = {
    1: (3191, 1244, 415, 40),
    2: (1128, 1303, 663, 154),
    3: (318, 480, 284, 79),
}
"""Sixteenths to the next stroke (3: or more), and how many strokes have one, two, three and four notes."""

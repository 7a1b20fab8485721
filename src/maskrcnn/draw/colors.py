"""Colors that tell neighboring objects apart."""

import colorsys

Color = tuple[int, int, int]

GOLDEN_RATIO = 0.618033988749895
FIRST_HUE = 0.57
TONES = ((0.80, 1.00), (0.55, 1.00), (0.95, 0.90))  # saturation and value, in turn
LEAST_LUMINANCE = 95  # of 255, so that blue can be seen on black
GRAY: Color = (150, 150, 150)
BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)


def object_colors(count: int) -> list[Color]:
    """Bright colors whose hues lie far from those of the few before; the n-th is the same for every count.

    Steps of the golden ratio around the circle of hues never come back to the same place, and each next one falls into
    the widest gap.
    """
    return [_bright((FIRST_HUE + number * GOLDEN_RATIO) % 1, *TONES[number % len(TONES)]) for number in range(count)]


def luminance(color: Color) -> float:
    """How bright a color looks, 0 to 255 (Rec. 601)."""
    red, green, blue = color
    return 0.299 * red + 0.587 * green + 0.114 * blue


def readable_on(color: Color) -> Color:
    """Black or white, whichever is easier to read on a color."""
    return BLACK if luminance(color) > 140 else WHITE


def _bright(hue: float, saturation: float, value: float) -> Color:
    """A color mixed with as much white as it needs to be seen on black."""
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    luminous = luminance((red, green, blue))
    white = max(0.0, (LEAST_LUMINANCE - luminous) / (255 - luminous))
    red, green, blue = (round(part + white * (255 - part)) for part in (red, green, blue))
    return red, green, blue

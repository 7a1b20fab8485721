"""Works that take a moment, and weights for them."""

from maskrcnn.profiling.works import Work

SIZE = (64, 96)
PREDICTION = Work("small", "R18-FPN", SIZE, 1, "pixels", 10)
RLE = Work("small", "R18-FPN", SIZE, 2, "RLE", 10)
TRAINING = Work("small", "R18-FPN", SIZE, 1, "training")

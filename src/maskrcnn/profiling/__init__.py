"""Time and memory of this library on this machine, beside torchvision's."""

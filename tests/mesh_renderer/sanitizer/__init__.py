"""The rasteriser's core under AddressSanitizer and UndefinedBehaviorSanitizer."""

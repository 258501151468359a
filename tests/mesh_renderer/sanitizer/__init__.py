"""The native core under AddressSanitizer and UndefinedBehaviorSanitizer."""

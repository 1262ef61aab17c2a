"""What the real service is known to have: operations, error codes, images, VM sizes.

Facts with their sources, no behaviour: they can be brought up to date without a look at anything else.
"""

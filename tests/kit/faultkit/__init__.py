"""What the tests of faults need: receivers that fail, programs that end, and the books of both."""

"""What the tests against real peers share: the peers as processes, and what they say they hold."""

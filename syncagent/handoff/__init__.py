"""The pure core: one function turns facts, policy and time into a decision and commands. No I/O, no clock."""

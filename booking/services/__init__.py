"""The use cases: each takes a session, who asks and what time it is, and does no other I/O."""

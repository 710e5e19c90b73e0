"""Questions asked of the state: they read it beside a running agent, and write nothing."""

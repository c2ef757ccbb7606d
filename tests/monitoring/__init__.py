"""Alert rules and the dashboard: by Prometheus's own tools, and loaded in a real one."""

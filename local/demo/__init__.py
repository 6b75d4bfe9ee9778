"""The demo, `make demo`: acts that are played on the laptop platform, and checked."""

"""Teleoperation in a browser: one loop at the control rate, one page, one person at the controls."""

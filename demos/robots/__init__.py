"""Real arms in the environment loop: what a robot is, LeRobot's as one, a real table as an environment."""

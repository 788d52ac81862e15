"""What has a part that moves along a line: a drawer with a handle, and buttons."""

from sim.things.thing import Fixture, Rgba, Shape, Slide

WOOD: Rgba = (0.72, 0.53, 0.33, 1.0)
DARK: Rgba = (0.25, 0.26, 0.28, 1.0)

DRAWER_OUT_M = 0.09  # how far a drawer comes out
# Middle of the handle, with the drawer shut, in the cabinet's frame: so far before it that a hand whose
# fingers stand 4 cm apart closes on it without touching the roof.
HANDLE_M = (-0.090, 0.0, 0.050)
HANDLE_WIDTH_M = 0.018  # the upright bar that jaws close on
BUTTON_TOP_M = 0.045  # height of a button's top that is not pressed
BUTTON_TRAVEL_M = 0.012


def cabinet(name: str, rgba: Rgba) -> Fixture:
    """A box with one drawer that comes out towards the arm, with an upright bar as a handle."""
    x, y, z, wall = 0.055, 0.060, 0.060, 0.004
    neck = -x - HANDLE_M[0]
    shell = (
        Shape("box", (x, y, wall / 2), (0.0, 0.0, wall / 2), rgba=WOOD),
        Shape("box", (x, y, wall / 2), (0.0, 0.0, z - wall / 2), rgba=rgba),  # seen from behind as well
        Shape("box", (x, wall / 2, z / 2), (0.0, y - wall / 2, z / 2), rgba=WOOD),
        Shape("box", (x, wall / 2, z / 2), (0.0, -y + wall / 2, z / 2), rgba=WOOD),
        Shape("box", (wall / 2, y, z / 2), (x - wall / 2, 0.0, z / 2), rgba=WOOD),
    )
    front = (
        # Seen only inside the cabinet: what it would rub against there is its joint's friction.
        Shape("box", (x - 0.004, y - 0.008, 0.002), (-0.002, 0.0, 0.010), rgba=rgba, collides=False),
        Shape("box", (0.003, y - 0.006, z / 2 - 0.006), (-x - 0.003, 0.0, z / 2), rgba=rgba),
        Shape("box", (neck / 2, HANDLE_WIDTH_M / 2, 0.005), (HANDLE_M[0] + neck / 2, 0.0, 0.030), rgba=DARK),
        Shape("box", (0.009, HANDLE_WIDTH_M / 2, 0.020), HANDLE_M, rgba=DARK),
    )
    slide = Slide(front, (-1.0, 0.0, 0.0), DRAWER_OUT_M, mass_kg=0.15, damping=2.0, friction_n=0.5)
    return Fixture(name=name, word="drawer", shapes=shell, radius_m=0.100, slide=slide)


def button(name: str, rgba: Rgba) -> Fixture:
    """A box with a broad button that a spring holds up."""
    box = Shape("box", (0.028, 0.028, 0.015), (0.0, 0.0, 0.015), rgba=DARK)
    top = Shape("cylinder", (0.020, 0.0075), (0.0, 0.0, BUTTON_TOP_M - 0.0075), rgba=rgba)
    # The spring is pressed by 1 cm already when the button is up: 3 N to begin with, 6.6 N all the way down.
    slide = Slide((top,), (0.0, 0.0, -1.0), BUTTON_TRAVEL_M, 0.02, damping=2.0, stiffness=300.0, rest_m=-0.01)
    return Fixture(name=name, word="button", shapes=(box,), radius_m=0.040, slide=slide)

"""Looking up by name: the value, or an error that names the choices."""

import pytest

from sim.names import UnknownName, pick

TABLE = {"panda": 1, "sawyer": 2, "kuka_iiwa14": 3}


def test_known_name_returns_the_value_itself() -> None:
    value = object()
    assert pick({"a": value}, "a", "thing") is value


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pnada", "unknown arm 'pnada'; did you mean 'panda'? arms: kuka_iiwa14, panda, sawyer"),
        ("Panda", "unknown arm 'Panda'; did you mean 'panda'? arms: kuka_iiwa14, panda, sawyer"),
        ("xyz", "unknown arm 'xyz'; arms: kuka_iiwa14, panda, sawyer"),
        ("", "unknown arm ''; arms: kuka_iiwa14, panda, sawyer"),
    ],
)
def test_unknown_name_says_what_could_be_meant(name: str, message: str) -> None:
    with pytest.raises(UnknownName) as error:
        pick(TABLE, name, "arm")
    assert str(error.value) == message


def test_of_many_names_the_first_are_said() -> None:
    with pytest.raises(UnknownName, match=r"unknown number '7'; numbers: 100, 101, .*, 119, and 5 more$"):
        pick({str(100 + i): i for i in range(25)}, "7", "number")


def test_unknown_name_is_a_value_error_and_an_empty_table_is_said_to_be_empty() -> None:
    with pytest.raises(ValueError, match=r"unknown task 'lift'; tasks: \(none\)"):
        pick({}, "lift", "task")

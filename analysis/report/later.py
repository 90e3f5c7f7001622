"""What takes long and is often not wanted: made when it is first asked for, once."""

from collections.abc import Callable
from functools import cached_property
from typing import Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """`value` is what `make()` returns. Where a report is stored, the value is stored with it."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make

    @cached_property
    def value(self) -> T:
        return self._make()

"""Pretend networks with faults and a ledger of the truth.

`Emulator`, `World`, `generate`, `load`, `serve`, `vk_session` are imported on first use, to keep this package light.
"""

from __future__ import annotations

from typing import Any

_HOMES = {
    "Emulator": "emulator.server",
    "serve": "emulator.server",
    "World": "emulator.world",
    "Shaker": "emulator.world",
    "Clock": "emulator.world",
    "Face": "emulator.face",
    "face_of": "emulator.face",
    "Plan": "emulator.faults",
    "ALL_FAULTS": "emulator.faults",
    "Behaviour": "emulator.vk",
    "USER_TOKEN": "emulator.vk",
    "GROUP_TOKEN": "emulator.vk",
    "SERVICE_TOKEN": "emulator.vk",
    "generate": "emulator.scenario",
    "load": "emulator.scenario",
    "vk_session": "emulator.client",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

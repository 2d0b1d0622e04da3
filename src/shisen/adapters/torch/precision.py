"""Half precision for the time of a forward: half the memory traffic, and instructions made for it.

The weights stay float32 and are cast on the way (`torch.autocast`), so the network is as it was. Where the graph of a
gradient begins in front of ReLUs nothing is cast: rounding moves values across their kinks, and the gradient with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

CPU_FLAGS = ("avx512_bf16", "amx_bf16", " bf16")
"""What Linux calls instructions for bfloat16, on x86 and on ARM."""


def half_of(device: Any, cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, str]:
    """Return the half precision that a device computes faster than float32, or "" and why there is none.

    Args:
        device: where the network is.
        cpuinfo: where Linux lists what the processor can do.
    """
    if device.type == "cuda":
        return ("bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float16"), ""
    if device.type != "cpu":
        return "", f"half precision is known to be faster on processors and CUDA, not on {device.type!r}"
    if cpuinfo.is_file():
        able = any(flag in cpuinfo.read_text(encoding="utf-8", errors="replace") for flag in CPU_FLAGS)
    else:
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        able = any(capabilities.get(flag.strip(), False) for flag in CPU_FLAGS)
    return ("bfloat16", "") if able else ("", "this processor has no instructions for bfloat16 and would be slower")


def cast(precision: str, device: Any) -> Any:
    """Return a context in which a forward, or the rest of one, runs in a precision.

    Args:
        precision: name of the floating-point type.
        device: name of the device, such as "cpu" or "cuda:0".
    """
    if precision == "float32":
        return torch.autocast(device.type, enabled=False)
    return torch.autocast(device.type, dtype=getattr(torch, precision))


def single(tensor: Any) -> Any:
    """Return a value of half precision as float32, any other as it is."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor

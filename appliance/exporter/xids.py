"""XIDs, the faults that NVIDIA's driver reports by number, and the first thing to do about each.

Source: NVIDIA, "Analyzing Xid Errors with the Xid Catalog", column "Resolution Bucket
(Immediate Action)", as of October 2025. Numbers the catalogue calls unused are left
out; those it lists without an action are ``unknown``, like those it does not list.
"""

from __future__ import annotations

#: An XID of which nothing is recommended, or that is not in the catalogue.
UNKNOWN = "unknown"
#: The label of XIDs that are not in the catalogue: their number is the driver's, the set of labels ours.
OTHER = "other"

_BY_ACTION: dict[str, tuple[int | range, ...]] = {
    # RESTART_APP: the engine's process; its supervisor does that when it ends.
    "restart_application": (
        8,
        11,
        13,
        25,
        range(31, 33),
        range(39, 42),
        60,
        range(68, 73),
        range(75, 78),
        80,
        range(82, 87),
        range(88, 90),
        94,
        range(96, 106),
        range(126, 136),
        139,
    ),
    # RESET_GPU: nvidia-smi --gpu-reset with nothing on the card, or a reboot.
    "reset_gpu": (46, 62, 64, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158),
    # RESTART_BM and RESTART_VM: the machine the driver runs in.
    "reboot": (79, 151),
    # IGNORE: it is counted, nothing is to be done at once.
    "record": (37, 38, 43, 44, 63, 66, 67, 92, 93, 106, 107, 121, 137, 141, 152, 153, 157, 160, 161),
    # WORKFLOW_XID_48, WORKFLOW_NVLINK_ERR, WORKFLOW_NVLINK5_ERR, CHECK_UVM: steps on NVIDIA's page.
    "follow_workflow": (48, 74, range(144, 151), 159),
    # WORKFLOW_XID_45: it follows another XID, whose action counts.
    "follow_other_xid": (45,),
    # XID_154: the driver says what it wants, see appliance_gpu_recovery_action.
    "follow_recovery_action": (154,),
    # CHECK_MECHANICALS: power cables and seating.
    "check_hardware": (54,),
    # UPDATE_SWFW.
    "update_software": (78,),
    "contact_support": (142,),
    UNKNOWN: (range(162, 173),),
}
#: Every XID of the catalogue with its action.
ACTIONS: dict[int, str] = {
    number: action
    for action, entries in _BY_ACTION.items()
    for entry in entries
    for number in (entry if isinstance(entry, range) else (entry,))
}
#: The label sets that are exported for each card, from the first scrape on: (xid, action).
LABELS: tuple[tuple[str, str], ...] = (
    *((str(number), ACTIONS[number]) for number in sorted(ACTIONS)),
    (OTHER, UNKNOWN),
)


def label(number: int) -> tuple[str, str]:
    """The label set of an XID: (xid, action)."""
    return (str(number), ACTIONS[number]) if number in ACTIONS else (OTHER, UNKNOWN)

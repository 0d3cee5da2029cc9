"""What `datagen export --check` prints: a line for each fault and place, with what each trainer does."""

from pathlib import Path

from rich.console import Console

from datagen.console import on_one_line, styled
from datagen.exporters.checking.check import Checked
from datagen.exporters.checking.faults import FAULTS, consequences


def print_checked(checked: Checked, folder: Path, console: Console) -> None:
    """Print the faults, the commonest first, each with its first places."""
    for fault, count in checked.counts.most_common():
        places = checked.places[fault]
        console.print(styled((f"{fault} {count:,}", "bold yellow"), f"  {FAULTS[fault].says}"), soft_wrap=True)
        for shape in dict.fromkeys(found.shape for found in places):
            if then := consequences(fault, shape):
                console.print(f"    {then}", soft_wrap=True)
        for found in places:
            console.print(f"  {on_one_line(f'{found.where}  {found.detail}'.rstrip())}", soft_wrap=True)
        if count > len(places):
            console.print(f"  … and {count - len(places):,} more", soft_wrap=True)
    rows = f"{checked.rows:,} rows in {checked.files:,} files of {folder}"
    total = sum(checked.counts.values())
    said = f"{total:,} faults of {len(checked.counts)} kinds" if total else "no fault found"
    console.print(f"{rows}: {said}.", soft_wrap=True)

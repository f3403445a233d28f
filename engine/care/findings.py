"""The findings of a check-up, as sentences for people and as plain data for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    `items` are image ids, job ids or paths below DATA_ROOT, as `kind` has it; `owner_id` is the row they belong to and
    `datasets` must not be in use by a job when it is repaired. `repair` says what `--repair` does, empty where only a
    person can help; `harmless` findings take space, but nothing is missing.
    """

    kind: str
    sentence: str
    items: tuple[str, ...] = ()
    owner_id: str = ""
    datasets: frozenset[str] = frozenset()
    repair: str = ""
    harmless: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "sentence": self.sentence,
            "count": len(self.items) or 1,
            "items": list(self.items[:SHOWN]),
            "mending": self.repair,
            "harmless": self.harmless,
        }


@dataclass(frozen=True)
class Report:
    """A check-up: what was checked, the findings, and notes about what is not a fault."""

    checked: dict[str, int]
    quick: bool
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        return {
            "clean": self.clean,
            "quick": self.quick,
            "checked": self.checked,
            "findings": [finding.as_dict() for finding in self.findings],
            "notes": list(self.notes),
        }

    def sentences(self) -> list[str]:
        """Return the report, a line for each finding and the files it names."""
        what = ", ".join(f"{count:,} {name}" for name, count in self.checked.items())
        how = "only whether they exist" if self.quick else "existence and content"
        lines = [f"Checked the database and {what} ({how})."]
        for finding in self.findings:
            lines.append(f"- {finding.sentence}" + (f" With --repair: {finding.repair}" if finding.repair else ""))
            lines += [f"    {item}" for item in finding.items[:SHOWN]]
            if len(finding.items) > SHOWN:
                lines.append(f"    and {len(finding.items) - SHOWN:,} more")
        lines += [f"Note: {note}" for note in self.notes]
        lines.append("Everything is as it should be." if self.clean else _counted(self.findings))
        return lines


def _counted(findings: tuple[Finding, ...]) -> str:
    repairable = sum(bool(finding.repair) for finding in findings)
    left = len(findings) - repairable
    parts = [f"{len(findings)} {'thing is' if len(findings) == 1 else 'things are'} not as they should be"]
    parts += [f"--repair can repair {repairable}"] if repairable else []
    parts += [f"{left} {'needs' if left == 1 else 'need'} a person"] if left else []
    return "; ".join(parts) + "."


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return "1 image" or "3 images"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"

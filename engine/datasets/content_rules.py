"""Pairs that names suggest and content decides: a.jpg with a.png, photos/ with outlines/, a.png with a_bw.png.

Names alone would be a guess here: a.jpg and a.png may be one photograph twice. So a few files of each kind are looked
at, and pairs are made only where those of one kind look like masks and those of the other do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from engine.datasets.folders import Folders, Path, folder_of
from engine.datasets.image_index import ImageIndex
from engine.datasets.naming import CODING_WORDS, TRUTH_ENDINGS, stem, suffix, tokens

Content = Callable[[str], bool | None]
"""Returns whether the file of a name looks like a mask; None if that cannot be told."""

SAMPLE = 8
_MOST, _FEW = 0.75, 0.25
_MOST_WORDS = 3
_MOST_FOLDERS = 20
"""So many folders that differ in one name are compared with each other."""


def are_masks(names: Sequence[str], others: Sequence[str], looks_like_mask: Content) -> bool:
    """Return whether the files of `names` look like masks, and the `others`, if any, do not."""
    share = _share(names, looks_like_mask)
    if share is None or share < _MOST:
        return False
    return not others or are_pictures(others, looks_like_mask)


def are_pictures(names: Sequence[str], looks_like_mask: Content) -> bool:
    """Return whether files are known to look like no masks."""
    share = _share(names, looks_like_mask)
    return share is not None and share <= _FEW


def by_suffix(images: Iterable[str], looks_like_mask: Content) -> dict[str, str]:
    """Return {mask: its image} for files of one folder that differ by their suffix alone."""
    twins: dict[tuple[Path, str], dict[str, str]] = defaultdict(dict)
    for image in images:
        twins[folder_of(image), stem(image)][suffix(image)] = image
    several = [files for files in twins.values() if len(files) > 1]
    of_suffix: dict[str, list[str]] = defaultdict(list)
    for files in several:
        for ending, image in files.items():
            of_suffix[ending].append(image)
    shares = {ending: _share(names, looks_like_mask) for ending, names in of_suffix.items()}
    masks = {ending for ending, share in shares.items() if share is not None and share >= _MOST}
    pictures = {ending for ending, share in shares.items() if share is not None and share <= _FEW}
    found: dict[str, str] = {}
    for files in several:
        base = next((files[ending] for ending in sorted(pictures & set(files))), None)
        if base is not None:
            found |= {files[ending]: base for ending in sorted(masks & set(files))}
    return found


def by_unknown_word(
    images: Iterable[str], folders: Folders, index: ImageIndex, looks_like_mask: Content
) -> dict[str, tuple[str, str]]:
    """Return {mask: (its image, rule)} for files named like an image and a few words more: a_bw.png beside a.png.

    Words that nobody knows must recur: one file alone may have its name by chance.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    known: set[str] = set()
    for image in images:
        words = tokens(image)
        for at in range(1, len(words)):
            for more, rest, rule in ((words[at:], words[:at], "*_{}"), (words[:at], words[at:], "{}_*")):
                if len(more) > _MOST_WORDS or not all(word[0].isalpha() for word in more):
                    continue
                place, name = folders.of(image).place, " ".join(rest)
                group = index.in_place(place, name) or index.near(place, name) or index.anywhere(name)
                if group is not None and image not in index.groups[group]:
                    label = f"{rule.format('_'.join(more))} beside *, by content"
                    found[label][image] = index.groups[group][0]
                    known |= {label} if set(more) <= TRUTH_ENDINGS | CODING_WORDS else set()
    return {
        mask: (image, rule)
        for rule, pairs in found.items()
        if (len(pairs) > 1 or rule in known) and are_masks(list(pairs), list(pairs.values()), looks_like_mask)
        for mask, image in pairs.items()
    }


def folders_of_masks(images: Iterable[str], looks_like_mask: Content) -> frozenset[Path]:
    """Return folders that hold masks of the images in the folder beside them, by their content and common names."""
    stems: dict[Path, dict[str, str]] = defaultdict(dict)
    for image in images:
        stems[folder_of(image)][stem(image)] = image
    alike: dict[tuple[int, Path], list[Path]] = defaultdict(list)
    for path in stems:
        for at in range(len(path)):
            alike[at, path[:at] + path[at + 1 :]].append(path)
    found: set[Path] = set()
    for (at, without), paths in alike.items():
        if without in stems:  # maps/train beside train
            paths = [*paths, without]
        if not 2 <= len(paths) <= _MOST_FOLDERS:
            continue
        for path in paths:
            for other in paths if path != without else ():
                common = stems[path].keys() & stems[other].keys() if other != path else set()
                if not common or 2 * len(common) < len(stems[path]) or other[: at + 1] in found:
                    continue
                chosen = sorted(common)
                pairs = [stems[path][name] for name in chosen], [stems[other][name] for name in chosen]
                if are_masks(*pairs, looks_like_mask):
                    found.add(path[: at + 1])
    return frozenset(found)


def spread(names: Sequence[str], count: int = SAMPLE) -> list[str]:
    """Return at most so many of the names, evenly from first to last."""
    if len(names) <= count:
        return list(names)
    return [names[at * (len(names) - 1) // (count - 1)] for at in range(count)]


def _share(names: Sequence[str], looks_like_mask: Content) -> float | None:
    seen = [look for name in spread(names) if (look := looks_like_mask(name)) is not None]
    return sum(seen) / len(seen) if seen else None
